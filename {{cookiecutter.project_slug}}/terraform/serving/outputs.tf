output "mode" {
  description = "How the model is served: realtime, serverless, async or batch; null before the first version."
  value       = local.released == 1 ? local.mode : null

  precondition {
    condition     = contains(["realtime", "serverless", "async", "batch"], local.mode)
    error_message = "config/${var.environment}.yaml: serving.mode must be realtime, serverless, async or batch; it is ${local.mode}."
  }

  precondition {
    condition     = local.config.shadow.model_package_arn == "" || local.mode == "realtime"
    error_message = "config/${var.environment}.yaml: only real-time endpoints can have a shadow: take shadow.model_package_arn out, or set serving.mode: realtime."
  }
}

output "model_package_arn" {
  description = "Version that is served; null before the first."
  value       = local.released == 1 ? var.model_package_arn : null
}

output "model_name" {
  description = "Name of its model."
  value       = one(module.model[*].name)
}

output "endpoint_name" {
  description = "Name of the endpoint; null for batch."
  value       = one(module.endpoint[*].name)
}

output "endpoint_config_name" {
  description = "Config that the endpoint is to have: when it has another one, SageMaker has taken the roll-out back."
  value       = one(module.endpoint[*].config_name)
}

output "state_machine_arn" {
  description = "State machine that starts batch runs; null for endpoints."
  value       = one(module.batch[*].state_machine_arn)
}
