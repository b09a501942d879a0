module "settings" {
  source = "../modules/settings"

  environment = var.environment
  config_dir  = var.config_dir
  root        = "platform"
}

locals {
  config = module.settings.config
  name   = module.settings.name
}
