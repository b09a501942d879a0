variable "name" {
  description = "What names of state machine, schedule and jobs begin with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,28}[a-zA-Z0-9]$", var.name))
    error_message = "name must have at most 30 letters, digits and hyphens: a job's name adds 33 characters, and SageMaker allows 63."
  }
}

variable "project" {
  description = "Use case: prefix of objects in buckets."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment, for messages that name its file in config/."
  type        = string
  nullable    = false
}

variable "model_name" {
  description = "Model that answers; its VPC, isolation and role are those of the jobs."
  type        = string
  nullable    = false
}

variable "platform" {
  description = "Facts of terraform/platform: buckets, keys and roles."
  type = object({
    capture_bucket      = string
    capture_kms_key_arn = string
    log_kms_key_arn     = string
    batch_role_arn      = string
    scheduler_role_arn  = string
  })
  nullable = false
}

variable "volume_kms_key_arn" {
  description = "Key for the instances' disks; null where they have disks that no key can be given for (module volume_key)."
  type        = string
  default     = null
}

variable "max_payload_mb" {
  description = "`serving.max_payload_mb` of the settings: size of one request to the model."
  type        = number
  nullable    = false

  validation {
    condition     = var.max_payload_mb >= 1 && var.max_payload_mb * var.batch.max_concurrent_transforms <= 100
    error_message = "config/${var.environment}.yaml: serving.max_payload_mb (${var.max_payload_mb}) times batch.max_concurrent_transforms (${var.batch.max_concurrent_transforms}) must be 100 at most: SageMaker sends no more to an instance at a time."
  }
}

variable "capture" {
  description = "`capture` of the settings: 0 percent for no copy of requests and answers, else all are kept."
  type = object({
    percentage = optional(number, 100)
  })
  default  = {}
  nullable = false
}

variable "batch" {
  description = "`batch` of the settings: instances, time limit, and when it runs (in UTC; blank: when a person starts it)."
  type = object({
    schedule                  = optional(string, "")
    instance_type             = optional(string, "ml.m5.large")
    instance_count            = optional(number, 1)
    max_concurrent_transforms = optional(number, 1)
    timeout_minutes           = optional(number, 120)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.batch.schedule == "" || can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", var.batch.schedule))
    error_message = "config/${var.environment}.yaml: batch.schedule must have six fields, minutes hours day month weekday year, as in cron(0 4 * * ? *); blank for none."
  }

  validation {
    condition     = var.batch.instance_count >= 1 && var.batch.instance_count <= 100
    error_message = "config/${var.environment}.yaml: batch.instance_count must be 1 to 100."
  }

  validation {
    condition     = var.batch.timeout_minutes >= 1 && var.batch.timeout_minutes <= 10080
    error_message = "config/${var.environment}.yaml: batch.timeout_minutes must be 1 to 10080, a week."
  }
}

variable "tags" {
  description = "Tags of the jobs, which Terraform does not start and so cannot tag."
  type        = map(string)
  default     = {}
  nullable    = false
}
