module "settings" {
  source = "../modules/settings"

  environment = var.environment
  config_dir  = var.config_dir
  root        = "serving"
}

locals {
  config  = module.settings.config
  name    = module.settings.name
  project = local.config.project
  mode    = local.config.serving.mode

  # Nothing was approved yet: there is nothing to serve, and that is no error.
  released = var.model_package_arn == null || var.model_package_arn == "" ? 0 : 1
  endpoint = local.mode == "batch" ? 0 : local.released
  batch    = local.mode == "batch" ? local.released : 0
  shadow   = local.config.shadow.model_package_arn == "" ? 0 : local.endpoint
  scaled   = contains(["realtime", "async"], local.mode) ? local.released : 0
}
