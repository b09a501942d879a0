variable "contract_file" {
  description = "The data contract, when it is not the repository's data_contract.yaml."
  type        = string
  default     = null
}

data "aws_partition" "current" {}

module "gateway" {
  source = "../modules/gateway"
  count  = local.config.gateway.enabled ? local.released : 0

  name            = local.name
  project         = local.project
  environment     = var.environment
  account         = local.config.aws_account
  region          = local.config.aws_region
  endpoint_name   = local.name
  mode            = local.mode
  contract        = yamldecode(file(coalesce(var.contract_file, "${path.module}/../../data_contract.yaml")))
  gateway         = local.config.gateway
  log_kms_key_arn = var.platform.log_kms_key_arn

  # Of terraform/bootstrap/usecase, unless the account has one of its own.
  permissions_boundary = coalesce(
    local.config.account.permissions_boundary,
    "arn:${data.aws_partition.current.partition}:iam::${local.config.aws_account}:policy/${local.project}/${local.name}-boundary",
  )
}

output "api_url" {
  description = "Address to POST rows to; null without a gateway."
  value       = one(module.gateway[*].url)
}

output "usage_plan_id" {
  description = "Usage plan that keys are added to; null when callers sign with IAM, or without a gateway."
  value       = one(module.gateway[*].usage_plan_id)
}
