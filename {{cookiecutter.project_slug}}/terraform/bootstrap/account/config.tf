module "settings" {
  source = "../../modules/settings"

  environment = var.environment
  config_dir  = var.config_dir
  root        = "bootstrap/account"
}

module "state" {
  source = "../../modules/state"

  config = local.config
}

data "aws_partition" "current" {}

locals {
  config    = module.settings.config
  account   = local.config.aws_account
  region    = local.config.aws_region
  partition = data.aws_partition.current.partition

  # `create`, `none`, or the name or ARN of what is there already: made by hand, or for another use case.
  made = { for part, choice in local.config.account : part => choice == "create" }

  # Of the account: whichever use case and environment runs this, the tags stay the same.
  tags = { ManagedBy = "terraform/bootstrap/account" }
}
