# Stage full: what looks at the requests that a real-time endpoint captures. monitor_override.tf adds its alarms to the others.
variable "monitor_package" {
  description = "Zip of the monitor's function in S3, and its SHA-256 in base64: `usecase deploy` builds and sends it. null: no monitor."
  type = object({
    bucket = string
    key    = string
    sha256 = optional(string)
  })
  default = null
}

variable "baseline_uri" {
  description = "S3 folder with the statistics of the version's training rows. null: the version has none, and nothing is compared with it."
  type        = string
  default     = null
}

locals {
  captured   = local.mode == "realtime" && local.config.capture.percentage > 0 && var.baseline_uri != null ? local.released : 0
  monitored  = local.config.monitoring.enabled && var.monitor_package != null ? local.captured : 0
  compared   = anytrue([for kind in ["data_quality", "model_quality", "bias", "explainability"] : try(local.config.monitoring.model_monitor[kind], false)]) ? local.captured : 0
  shipped_to = try(local.config.monitoring.log_shipping.opensearch_domain_arn, "")

  capture_uri = "s3://${var.platform.capture_bucket}/${trimsuffix(local.capture_to, "/")}"
  reports     = "s3://${var.platform.capture_bucket}/${local.project}/monitor/${local.name}" # goes with the requests that it is on

  monitors_boundary = coalesce(
    local.config.account.permissions_boundary,
    "arn:${data.aws_partition.current.partition}:iam::${local.config.aws_account}:policy/${local.project}/${local.name}-boundary",
  )
}

module "monitor" {
  source = "../modules/monitor"
  count  = local.monitored

  name                 = local.name
  project              = local.project
  environment          = var.environment
  account              = local.config.aws_account
  region               = local.config.aws_region
  endpoint_name        = local.name
  variant_name         = module.endpoint[0].variant_name
  model_package_arn    = var.model_package_arn
  package              = var.monitor_package
  capture_uri          = local.capture_uri
  baseline_uri         = var.baseline_uri
  report_uri           = local.reports
  platform             = var.platform
  monitoring           = local.config.monitoring
  retraining           = local.config.retraining
  permissions_boundary = local.monitors_boundary
}

output "monitor_function_name" {
  description = "Function that looks for drift; null without one."
  value       = one(module.monitor[*].function_name)
}
