variable "name" {
  description = "Name of the bucket, unique in all of AWS."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 63 characters a-z, 0-9 and hyphens."
  }
}

variable "kms_key_arn" {
  description = "Key of the objects; null for AWS's own (SSE-S3), which a bucket needs that access logs are delivered to."
  type        = string
  default     = null
}

variable "log_bucket" {
  description = "Bucket that access logs are delivered to; null for none."
  type        = string
  default     = null
}

variable "receives_logs_of" {
  description = "Account whose buckets may deliver their access logs here; null: none."
  type        = string
  default     = null
}

variable "retention_days" {
  description = "Days after which objects are deleted, by prefix; their versions follow a week later."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for days in values(var.retention_days) : days >= 1 && days <= 3650 && floor(days) == days])
    error_message = "retention in config/<environment>.yaml: data_days, capture_days and feedback_days must be whole numbers of days from 1 to 3650."
  }
}

variable "noncurrent_days" {
  description = "Days that overwritten and deleted versions are kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days must be 1 or more."
  }
}

variable "readers" {
  description = "Roles of other accounts that may read, by prefix: those that copy an approved model into their environment."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for arn in flatten(values(var.readers)) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", arn))
    ])
    error_message = "readers must be ARNs of roles, without a wildcard."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the objects too."
  type        = bool
  default     = false
  nullable    = false
}
