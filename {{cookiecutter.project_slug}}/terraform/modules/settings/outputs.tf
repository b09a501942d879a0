output "config" {
  description = "Settings of the environment, by key."
  value       = merge(local.config, { model_package_group = local.groups[var.environment].models })
}

output "name" {
  description = "What names of resources begin with: project and environment."
  value       = "${local.config.project}-${var.environment}"
}

output "tags" {
  description = "Tags of every resource."
  value = merge(try(local.config.tags, {}), {
    Project     = local.config.project
    Environment = var.environment
    Owner       = local.config.owner_email
    ManagedBy   = "terraform/${var.root}"
  })
}

output "accounts" {
  description = "AWS account of each environment that has one."
  value = {
    for environment in ["dev", "qa", "prod"] : environment => local.accounts[environment] if try(local.accounts[environment], "") != ""
  }
}

output "regions" {
  description = "AWS region of each environment."
  value       = local.regions
}

output "groups" {
  description = "Model package group (`models`) and feature group (`features`, blank without one) of each environment."
  value       = local.groups
}

output "neighbours" {
  description = "Other environments in the same account."
  value       = [for environment, account in local.accounts : environment if environment != var.environment && account == local.accounts[var.environment]]
}
