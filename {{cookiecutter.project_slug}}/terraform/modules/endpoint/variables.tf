variable "name" {
  description = "Name of the endpoint, and what names of its configs begin with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,34}[a-zA-Z0-9]$", var.name))
    error_message = "name must have at most 36 letters, digits and hyphens: a config's name adds 27 characters, and SageMaker allows 63."
  }
}

variable "project" {
  description = "Use case: prefix of objects in buckets."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment: prod needs more than one instance. Messages name its file in config/."
  type        = string
  nullable    = false
}

variable "model_name" {
  description = "Model that answers."
  type        = string
  nullable    = false
}

variable "shadow_model_name" {
  description = "Model that gets copies of requests; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.shadow_model_name == null || var.serving.mode == "realtime"
    error_message = "config/${var.environment}.yaml: only real-time endpoints can have a shadow: take shadow.model_package_arn out, or set serving.mode: realtime."
  }
}

variable "platform" {
  description = "Facts of terraform/platform: where requests and answers are kept, and who hears of asynchronous answers."
  type = object({
    capture_bucket      = string
    capture_kms_key_arn = string
    async_topic_arn     = string
  })
  nullable = false
}

variable "volume_kms_key_arn" {
  description = "Key for the instances' disks; null where they have disks that no key can be given for (module volume_key)."
  type        = string
  default     = null
}

variable "serving" {
  description = "`serving` of the settings: realtime, serverless or async, and the instances of the others than serverless."
  type = object({
    mode           = optional(string, "realtime")
    instance_type  = optional(string, "ml.m5.large")
    instance_count = optional(number, 1)
  })
  nullable = false

  validation {
    condition     = contains(["realtime", "serverless", "async"], var.serving.mode)
    error_message = "serving.mode of an endpoint must be realtime, serverless or async; batch has none."
  }

  validation {
    condition     = var.environment != "prod" || var.serving.mode != "realtime" || var.serving.instance_count >= 2
    error_message = "config/prod.yaml: serving.instance_count must be 2 or more: a single instance stands in a single zone, and its failure is an outage."
  }

  validation {
    condition     = !startswith(var.serving.instance_type, "ml.inf1.")
    error_message = "config/${var.environment}.yaml: serving.instance_type must not be of ml.inf1: SageMaker rolls nothing back on it. ml.inf2 can do the same."
  }

  validation {
    condition     = var.serving.mode != "serverless" || !can(regex("^ml\\.(g|p|inf|trn|dl)[0-9]", var.serving.instance_type))
    error_message = "config/${var.environment}.yaml: serverless endpoints have no accelerators: take serving.instance_type out, or choose serving.mode: realtime or async."
  }

  validation {
    condition     = var.serving.mode != "serverless" || var.serving.instance_count <= 1
    error_message = "config/${var.environment}.yaml: serverless endpoints have no instances: take serving.instance_count out and set serverless.max_concurrency."
  }
}

variable "serverless" {
  description = "`serverless` of the settings: memory in MB, and requests at a time."
  type = object({
    memory_mb       = optional(number, 2048)
    max_concurrency = optional(number, 5)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([1024, 2048, 3072, 4096, 5120, 6144], var.serverless.memory_mb)
    error_message = "config/${var.environment}.yaml: serverless.memory_mb must be 1024, 2048, 3072, 4096, 5120 or 6144."
  }

  validation {
    condition     = var.serverless.max_concurrency >= 1 && var.serverless.max_concurrency <= 200
    error_message = "config/${var.environment}.yaml: serverless.max_concurrency must be 1 to 200."
  }
}

variable "async" {
  description = "`async` of the settings: requests at a time and instance."
  type = object({
    max_concurrent_invocations = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.async.max_concurrent_invocations >= 1 && var.async.max_concurrent_invocations <= 1000
    error_message = "config/${var.environment}.yaml: async.max_concurrent_invocations must be 1 to 1000."
  }
}

variable "capture" {
  description = "`capture` of the settings: percentage of requests and answers that a real-time endpoint keeps; 0 for none."
  type = object({
    percentage = optional(number, 100)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.capture.percentage >= 0 && var.capture.percentage <= 100
    error_message = "config/${var.environment}.yaml: capture.percentage must be 0 to 100."
  }

  validation {
    condition     = var.serving.mode != "serverless" || var.capture.percentage == 0
    error_message = "config/${var.environment}.yaml: SageMaker captures nothing of serverless endpoints, so that drift cannot be seen: set capture.percentage: 0 to go without, or choose another serving.mode."
  }
}

variable "rollout" {
  description = "`rollout` of the settings: how a new version takes over, in seconds and percent of the instances."
  type = object({
    type                     = optional(string, "all_at_once")
    size_percent             = optional(number, 10)
    wait_seconds             = optional(number, 600)
    termination_wait_seconds = optional(number, 300)
    timeout_seconds          = optional(number, 3600)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["all_at_once", "canary", "linear", "rolling"], var.rollout.type)
    error_message = "config/${var.environment}.yaml: rollout.type must be all_at_once, canary, linear or rolling."
  }

  validation {
    condition     = var.serving.mode != "serverless" || var.rollout.type == "all_at_once"
    error_message = "config/${var.environment}.yaml: serverless endpoints go over at once: set rollout.type: all_at_once, or choose another serving.mode."
  }

  validation {
    condition     = var.rollout.type != "canary" || (var.rollout.size_percent >= 5 && var.rollout.size_percent <= 50)
    error_message = "config/${var.environment}.yaml: rollout.size_percent of a canary must be 5 to 50."
  }

  validation {
    condition     = var.rollout.type != "linear" || (var.rollout.size_percent >= 10 && var.rollout.size_percent <= 50)
    error_message = "config/${var.environment}.yaml: rollout.size_percent of a linear roll-out must be 10 to 50."
  }

  validation {
    condition     = var.rollout.type != "rolling" || (var.rollout.size_percent >= 5 && var.rollout.size_percent <= 50)
    error_message = "config/${var.environment}.yaml: rollout.size_percent of a rolling update must be 5 to 50."
  }

  validation {
    condition     = var.rollout.type == "all_at_once" || var.serving.mode == "serverless" || var.serving.instance_count >= 2
    error_message = "config/${var.environment}.yaml: rollout.type: ${var.rollout.type} takes a part of the instances at a time, and one instance has no part: set serving.instance_count to 2 or more, or rollout.type: all_at_once."
  }

  validation {
    condition     = var.rollout.type != "rolling" || var.shadow_model_name == null
    error_message = "config/${var.environment}.yaml: SageMaker rolls endpoints with one variant only: take shadow.model_package_arn out for this roll-out, or choose another rollout.type."
  }

  validation {
    condition = alltrue([
      for seconds in [var.rollout.wait_seconds, var.rollout.termination_wait_seconds] : seconds >= 0 && seconds <= 3600
    ])
    error_message = "config/${var.environment}.yaml: rollout.wait_seconds and rollout.termination_wait_seconds must be 0 to 3600."
  }

  validation {
    condition     = var.rollout.timeout_seconds >= 600 && var.rollout.timeout_seconds <= 3600
    error_message = "config/${var.environment}.yaml: rollout.timeout_seconds must be 600 to 3600: Terraform waits an hour for an endpoint."
  }

  # Waits of a roll-out: a canary has one for the canary and one for the rest; the others one per step.
  validation {
    condition = var.serving.mode == "serverless" || var.rollout.timeout_seconds > var.rollout.wait_seconds * lookup(
      { all_at_once = 1, canary = 2 }, var.rollout.type, ceil(100 / max(var.rollout.size_percent, 1))
    ) + (var.rollout.type == "rolling" ? 0 : var.rollout.termination_wait_seconds)
    error_message = "config/${var.environment}.yaml: a ${var.rollout.type} roll-out with steps of rollout.size_percent (${var.rollout.size_percent}) and rollout.wait_seconds (${var.rollout.wait_seconds}) after each would still wait when rollout.timeout_seconds (${var.rollout.timeout_seconds}) are over, and be taken back: wait less, or take larger steps."
  }
}

variable "shadow" {
  description = "`shadow` of the settings: instances of the shadow, and percentage of the requests that it gets. A blank type: as serving."
  type = object({
    sampling_percentage = optional(number, 100)
    instance_type       = optional(string, "")
    instance_count      = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.shadow.sampling_percentage >= 1 && var.shadow.sampling_percentage <= 100
    error_message = "config/${var.environment}.yaml: shadow.sampling_percentage must be 1 to 100."
  }

  validation {
    condition     = !startswith(var.shadow.instance_type, "ml.inf1.")
    error_message = "config/${var.environment}.yaml: shadow.instance_type must not be of ml.inf1: SageMaker has no shadows on it. ml.inf2 can do the same."
  }
}

variable "alarms" {
  description = "`alarms` of the settings: what takes a roll-out back."
  type = object({
    errors_percent     = optional(number, 5)
    latency_p90_ms     = optional(number, 500)
    latency_p99_ms     = optional(number, 2000)
    period_seconds     = optional(number, 60)
    evaluation_periods = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.serving.mode == "serverless" || var.alarms.period_seconds * var.alarms.evaluation_periods <= var.rollout.wait_seconds
    error_message = "config/${var.environment}.yaml: alarms need alarms.period_seconds (${var.alarms.period_seconds}) times alarms.evaluation_periods (${var.alarms.evaluation_periods}) to go off, and a roll-out watches them for rollout.wait_seconds (${var.rollout.wait_seconds}) only: it would never be taken back. Raise rollout.wait_seconds, or lower the other two."
  }
}
