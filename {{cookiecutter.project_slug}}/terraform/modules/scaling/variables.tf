variable "name" {
  description = "What names of policies and alarms begin with."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment: prod keeps more than one instance. Messages name its file in config/."
  type        = string
  nullable    = false
}

variable "endpoint_name" {
  description = "Endpoint whose instances come and go."
  type        = string
  nullable    = false
}

variable "variant_name" {
  description = "Its variant."
  type        = string
  nullable    = false
}

variable "mode" {
  description = "realtime: by requests per instance; async: by requests in the queue."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["realtime", "async"], var.mode)
    error_message = "mode must be realtime or async: serverless endpoints scale by themselves."
  }
}

variable "instance_type" {
  description = "Instance type of the endpoint: when it changes, scaling is set up anew."
  type        = string
  nullable    = false
}

variable "instance_count" {
  description = "Instances that a new version begins with."
  type        = number
  nullable    = false

  validation {
    condition     = var.instance_count >= var.scaling.minimum && var.instance_count <= var.scaling.maximum
    error_message = "config/${var.environment}.yaml: serving.instance_count (${var.instance_count}) must be within scaling.minimum (${var.scaling.minimum}) and scaling.maximum (${var.scaling.maximum}): each new version begins with that many."
  }
}

variable "async" {
  description = "`async` of the settings: requests that an instance works on at a time."
  type = object({
    max_concurrent_invocations = optional(number, 4)
  })
  default  = {}
  nullable = false
}

variable "scaling" {
  description = "`scaling` of the settings: bounds, requests per instance and minute, cooldowns, and bounds by schedule (in UTC). Equal bounds: no scaling by load."
  type = object({
    minimum                    = optional(number, 1)
    maximum                    = optional(number, 2)
    invocations_per_instance   = optional(number, 500)
    scale_in_cooldown_seconds  = optional(number, 300)
    scale_out_cooldown_seconds = optional(number, 60)
    schedules = optional(map(object({
      cron    = string
      minimum = number
      maximum = number
    })), {})
  })
  nullable = false

  validation {
    condition     = alltrue([for bounds in concat([var.scaling], values(var.scaling.schedules)) : bounds.minimum <= bounds.maximum])
    error_message = "config/${var.environment}.yaml: scaling: a minimum is above its maximum: lower the one or raise the other, in scaling and in each of scaling.schedules."
  }

  validation {
    condition = alltrue([
      for bounds in concat([var.scaling], values(var.scaling.schedules)) : bounds.minimum >= (var.mode == "async" ? 0 : 1) && bounds.maximum >= 1
    ])
    error_message = "config/${var.environment}.yaml: scaling: only asynchronous endpoints can go without an instance: set scaling.minimum, also of scaling.schedules, to 1 or more, or serving.mode: async. No maximum can be 0."
  }

  validation {
    condition = var.environment != "prod" || var.mode != "realtime" || alltrue([
      for bounds in concat([var.scaling], values(var.scaling.schedules)) : bounds.minimum >= 2
    ])
    error_message = "config/prod.yaml: scaling.minimum, also of scaling.schedules, must be 2 or more: a single instance stands in a single zone."
  }

  validation {
    condition     = alltrue([for schedule in var.scaling.schedules : can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", schedule.cron))])
    error_message = "config/${var.environment}.yaml: scaling.schedules: cron must have six fields, minutes hours day month weekday year, as in cron(0 6 ? * MON-FRI *)."
  }

  validation {
    condition     = var.scaling.invocations_per_instance >= 1
    error_message = "config/${var.environment}.yaml: scaling.invocations_per_instance must be 1 or more."
  }
}
