variable "name" {
  description = "What names of the alarms begin with; name of the dashboard."
  type        = string
  nullable    = false
}

variable "account" {
  description = "AWS account, for the dashboard."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region, for the dashboard."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment, for messages that name its file in config/."
  type        = string
  nullable    = false
}

variable "mode" {
  description = "realtime, serverless, async or batch: which metrics there are."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["realtime", "serverless", "async", "batch"], var.mode)
    error_message = "mode must be realtime, serverless, async or batch."
  }

  validation {
    condition     = (var.mode == "batch") == (var.batch != null) && (var.mode == "batch") == (var.endpoint_name == null)
    error_message = "mode batch has a state machine (batch), the others an endpoint (endpoint_name)."
  }
}

variable "endpoint_name" {
  description = "Endpoint to watch; null for batch."
  type        = string
  default     = null
}

variable "variant_name" {
  description = "Its variant."
  type        = string
  default     = "AllTraffic"
  nullable    = false
}

variable "batch" {
  description = "State machine that starts transform jobs, and the group of its schedule; null for endpoints."
  type = object({
    state_machine_arn = string
    schedule_group    = string
  })
  default = null
}

variable "capture" {
  description = "Bucket and prefix to which an endpoint captures this percentage of its requests; null for none."
  type = object({
    bucket     = string
    prefix     = string
    percentage = number
  })
  default = null

  validation {
    condition     = var.capture == null || var.mode == "realtime"
    error_message = "only real-time endpoints capture."
  }
}

variable "async" {
  description = "`async` of the settings: hours after which a request has waited too long."
  type = object({
    max_queue_hours = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.async.max_queue_hours > 0 && var.async.max_queue_hours <= 6
    error_message = "config/${var.environment}.yaml: async.max_queue_hours must be 6 at most: SageMaker gives a request up after 6 hours."
  }
}

variable "thresholds" {
  description = "`alarms` of the settings: what is too much, in how many periods in a row. no_invocations_hours: 0 for no such alarm."
  type = object({
    errors_percent       = optional(number, 5)
    latency_p90_ms       = optional(number, 500)
    latency_p99_ms       = optional(number, 2000)
    cpu_percent          = optional(number, 90)
    memory_percent       = optional(number, 90)
    disk_percent         = optional(number, 85)
    no_invocations_hours = optional(number, 0)
    period_seconds       = optional(number, 60)
    evaluation_periods   = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.thresholds.no_invocations_hours >= 0 && var.thresholds.no_invocations_hours <= 24
    error_message = "config/${var.environment}.yaml: alarms.no_invocations_hours must be 0 to 24."
  }
}

variable "others" {
  description = "What other modules watch: `alarms` that are part of the one that notifies, alarms that are `shown` alone, and `graphs` by title, metrics as CloudWatch lists them as JSON texts."
  type = object({
    alarms = optional(list(string), [])
    shown  = optional(list(string), [])
    graphs = optional(map(string), {})
  })
  default  = {}
  nullable = false
}

variable "topic_arn" {
  description = "SNS topic that hears when something is wrong, and when it is well again."
  type        = string
  nullable    = false
}
