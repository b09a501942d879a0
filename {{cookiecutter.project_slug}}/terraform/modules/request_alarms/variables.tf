variable "name" {
  description = "What names of the alarms begin with."
  type        = string
  nullable    = false
}

variable "dimensions" {
  description = "Dimensions of the metrics: EndpointName and VariantName; with EndpointConfigName, only what runs by that config is looked at."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for name in ["EndpointName", "VariantName"] : contains(keys(var.dimensions), name)])
    error_message = "dimensions must name EndpointName and VariantName: SageMaker publishes no metric without both."
  }
}

variable "thresholds" {
  description = "What is too much (percent of requests, milliseconds), in how many periods in a row, of how many seconds each."
  type = object({
    errors_percent     = optional(number, 5)
    latency_p90_ms     = optional(number, 500)
    latency_p99_ms     = optional(number, 2000)
    period_seconds     = optional(number, 60)
    evaluation_periods = optional(number, 3)
  })
  nullable = false

  validation {
    condition     = var.thresholds.period_seconds >= 60 && var.thresholds.period_seconds % 60 == 0
    error_message = "alarms.period_seconds in config/<environment>.yaml must be a multiple of 60: SageMaker publishes its metrics once a minute."
  }

  validation {
    condition     = var.thresholds.period_seconds * var.thresholds.evaluation_periods <= 86400
    error_message = "alarms.period_seconds times alarms.evaluation_periods in config/<environment>.yaml must be a day at most, 86400: CloudWatch looks back no further."
  }

  validation {
    condition     = var.thresholds.latency_p90_ms <= var.thresholds.latency_p99_ms
    error_message = "alarms.latency_p90_ms in config/<environment>.yaml must not be above alarms.latency_p99_ms: the slowest 1 % are among the slowest 10 %."
  }
}
