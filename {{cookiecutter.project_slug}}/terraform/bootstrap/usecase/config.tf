module "settings" {
  source = "../../modules/settings"

  environment = var.environment
  config_dir  = var.config_dir
  root        = "bootstrap/usecase"
}

module "state" {
  source = "../../modules/state"

  config = local.config
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

  in_region = "${local.region}:${local.account}"
  iam       = "arn:${local.partition}:iam::${local.account}"
  sagemaker = "arn:${local.partition}:sagemaker:${local.in_region}"
  group     = local.config.model_package_group
  versions  = ["${local.sagemaker}:model-package-group/${local.group}", "${local.sagemaker}:model-package/${local.group}/*"]
  artifacts = "arn:${local.partition}:s3:::${local.name}-artifacts-${local.account}"
  data      = "arn:${local.partition}:s3:::${local.name}-data-${local.account}"

  feature_groups = compact([try(local.config.feature_store.group, "")]) # a setting of stage full

  # The environment that trains has the registry of record; the others get copies of its versions.
  trains         = local.config.training_environment == var.environment
  record_account = lookup(module.settings.accounts, local.config.training_environment, local.account)
  record_name    = "${local.project}-${local.config.training_environment}"
  record_group   = module.settings.groups[local.config.training_environment].models
  record_objects = "arn:${local.partition}:s3:::${local.record_name}-artifacts-${local.record_account}"
}
