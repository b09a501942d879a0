module "network" {
  source = "../modules/network"

  name                 = local.name
  project              = local.project
  region               = local.config.aws_region
  account              = local.config.aws_account
  log_kms_key_arn      = module.key["logs"].arn
  permissions_boundary = local.permissions_boundary
  settings             = local.config.network
}
