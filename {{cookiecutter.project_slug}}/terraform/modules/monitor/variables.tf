variable "name" {
  description = "What names of the function, its alarms and its queue begin with."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 46
    error_message = "name must have at most 46 characters: a role's name adds 17, and IAM allows 64."
  }
}

variable "project" {
  description = "Use case: path of the roles."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment, for messages that name its file in config/."
  type        = string
  nullable    = false
}

variable "account" {
  description = "AWS account."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
}

variable "endpoint_name" {
  description = "Endpoint whose captured requests are looked at."
  type        = string
  nullable    = false
}

variable "variant_name" {
  description = "Its variant."
  type        = string
  default     = "AllTraffic"
  nullable    = false
}

variable "model_package_arn" {
  description = "Version that the endpoint serves."
  type        = string
  nullable    = false
}

variable "package" {
  description = "Zip of the function in S3, and its SHA-256 as Lambda tells it, in base64; null where nothing is known of it."
  type = object({
    bucket = string
    key    = string
    sha256 = optional(string)
  })
  nullable = false

  validation {
    condition     = var.package.sha256 == null || can(regex("^[A-Za-z0-9+/]{43}=$", var.package.sha256))
    error_message = "package.sha256 must be the SHA-256 in base64, 44 characters that end with =."
  }
}

variable "capture_uri" {
  description = "S3 folder of what the endpoint captures."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^s3://[a-z0-9.-]+/[^*?]+$", var.capture_uri))
    error_message = "capture_uri must be a folder below a bucket, s3://<bucket>/<prefix>, without a wildcard."
  }
}

variable "baseline_uri" {
  description = "S3 folder of the statistics of the version's training rows."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^s3://[a-z0-9.-]+/[^*?]+$", var.baseline_uri))
    error_message = "baseline_uri must be a folder below a bucket, s3://<bucket>/<prefix>, without a wildcard: deploy a version that has a baseline."
  }
}

variable "report_uri" {
  description = "S3 folder for reports."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^s3://[a-z0-9.-]+/[^*?]+$", var.report_uri))
    error_message = "report_uri must be a folder below a bucket, s3://<bucket>/<prefix>, without a wildcard."
  }
}

variable "platform" {
  description = "Facts of terraform/platform: keys, and the topic that hears of alarms."
  type = object({
    artifact_kms_key_arn = string
    capture_kms_key_arn  = string
    log_kms_key_arn      = string
    alarm_topic_arn      = string
  })
  nullable = false
}

variable "monitoring" {
  description = "`monitoring` of the settings: window, schedule (in UTC, once per window), limits of the verdict, size of the function; anomaly_band: 0 for no such alarms."
  type = object({
    minimum_rows          = optional(number, 500)
    minimum_effect        = optional(number, 0.05)
    false_alarms          = optional(number, 0.05)
    schedule              = optional(string, "cron(10 * * * ? *)")
    window_minutes        = optional(number, 60)
    capture_grace_minutes = optional(number, 10)
    memory_mb             = optional(number, 2048)
    timeout_seconds       = optional(number, 900)
    anomaly_band          = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", var.monitoring.schedule))
    error_message = "config/${var.environment}.yaml: monitoring.schedule must have six fields, minutes hours day month weekday year, as in cron(10 * * * ? *)."
  }

  validation {
    condition     = var.monitoring.window_minutes >= 60 && var.monitoring.window_minutes <= 1440 && var.monitoring.window_minutes % 60 == 0
    error_message = "config/${var.environment}.yaml: monitoring.window_minutes must be whole hours, 60 to 1440: an alarm counts in periods of these."
  }

  validation {
    condition     = var.monitoring.timeout_seconds >= 60 && var.monitoring.timeout_seconds <= 900
    error_message = "config/${var.environment}.yaml: monitoring.timeout_seconds must be 60 to 900, the most that Lambda gives."
  }

  validation {
    condition     = var.monitoring.memory_mb >= 512 && var.monitoring.memory_mb <= 10240
    error_message = "config/${var.environment}.yaml: monitoring.memory_mb must be 512 to 10240."
  }

  validation {
    condition     = var.monitoring.anomaly_band >= 0 && var.monitoring.anomaly_band <= 10
    error_message = "config/${var.environment}.yaml: monitoring.anomaly_band must be 0 (no such alarms) to 10 standard deviations."
  }
}

variable "retraining" {
  description = "`retraining` of the settings: how many of the newest windows must drift."
  type = object({
    windows  = optional(number, 3)
    violated = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.retraining.violated >= 1 && var.retraining.violated <= var.retraining.windows
    error_message = "config/${var.environment}.yaml: retraining.violated (${var.retraining.violated}) must be 1 to retraining.windows (${var.retraining.windows}): the alarm could never go off."
  }

  validation {
    condition     = var.retraining.windows * var.monitoring.window_minutes <= 10080
    error_message = "config/${var.environment}.yaml: retraining.windows (${var.retraining.windows}) times monitoring.window_minutes (${var.monitoring.window_minutes}) must be 10080 at most: an alarm looks back a week, no further."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles; null for none."
  type        = string
  default     = null
}
