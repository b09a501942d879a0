variable "name" {
  description = "Name of the bucket, unique in all of AWS."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 63 characters a-z, 0-9 and hyphens, with none of these at its ends."
  }
}

variable "key" {
  description = "KMS key of the objects, as module `key` gives it; null for S3's own (SSE-S3), which a bucket must have that access logs are delivered to."
  type        = object({ arn = string })
  default     = null
}

variable "log_bucket" {
  description = "Bucket that the logs of requests are delivered to, below `access/<name>/`; null for none."
  type        = object({ name = string })
  default     = null
}

variable "receives_logs_of" {
  description = "Account whose buckets may deliver their access logs here; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.receives_logs_of == null || var.key == null
    error_message = "S3 delivers no access logs to a bucket with a KMS key: leave key out."
  }
}

variable "delivered_by" {
  description = "AWS services that deliver reports of an account, such as `cloudtrail.amazonaws.com`; null for none."
  type        = object({ account = string, services = list(string) })
  default     = null
}

variable "readers" {
  description = "Roles in other accounts that read objects below `prefixes`; null for none."
  type        = object({ roles = list(string), prefixes = list(string) })
  default     = null

  validation {
    condition     = var.readers == null || alltrue([for role in try(var.readers.roles, []) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", role))])
    error_message = "readers.roles must be ARNs of roles, without a wildcard."
  }

  validation {
    condition     = var.readers == null || alltrue([for prefix in try(var.readers.prefixes, []) : can(regex("^[^*]+/$", prefix))])
    error_message = "readers.prefixes must be prefixes that end with a slash, such as registry/."
  }
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

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the objects too."
  type        = bool
  default     = false
  nullable    = false
}
