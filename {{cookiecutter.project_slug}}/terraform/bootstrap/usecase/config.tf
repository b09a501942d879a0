module "settings" {
  source = "../../modules/settings"

  environment = var.environment
  config_dir  = var.config_dir
  root        = "bootstrap/usecase"
}

data "aws_partition" "current" {}

locals {
  config    = module.settings.config
  name      = module.settings.name
  tags      = module.settings.tags
  project   = local.config.project
  account   = local.config.aws_account
  region    = local.config.aws_region
  partition = data.aws_partition.current.partition

  iam       = "arn:${local.partition}:iam::${local.account}"
  sagemaker = "arn:${local.partition}:sagemaker:${local.region}:${local.account}"
  group     = local.config.model_package_group
  boundary  = try(coalesce(local.config.account.permissions_boundary), aws_iam_policy.boundary[0].arn)
}
