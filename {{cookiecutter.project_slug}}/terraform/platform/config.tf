# The settings that Python reads too: config/<environment>.yaml over config/defaults.yaml, mappings merged. Python merges at
# every depth; two levels are as deep as what Terraform reads. A key without a value counts as not given, in both.
locals {
  config_dir = coalesce(var.config_dir, "${path.module}/../../config")
  defaults   = yamldecode(file("${local.config_dir}/defaults.yaml"))
  own        = { for key, value in yamldecode(file("${local.config_dir}/${var.environment}.yaml")) : key => value if value != null }
  config = {
    for key in setunion(keys(local.defaults), keys(local.own)) :
    key => try(merge(local.defaults[key], local.own[key]), local.own[key], local.defaults[key])
  }

  name = "${local.config.project}-${var.environment}"
  tags = {
    Project     = local.config.project
    Environment = var.environment
    Owner       = local.config.owner_email
    ManagedBy   = "terraform/platform"
  }
}
