locals {
  registry = {
    account = local.config.aws_account
    region  = local.config.aws_region
    group   = local.config.model_package_group
  }

  instances  = { type = local.config.serving.instance_type, shadow = local.config.shadow.instance_type }
  capture_to = "${local.project}/capture/${local.name}/" # SageMaker adds the endpoint's name to the prefix in its config
}

module "model" {
  source = "../modules/model"
  count  = local.released

  name                  = local.name
  environment           = var.environment
  package_arn           = var.model_package_arn
  container_environment = var.container_environment
  registry              = local.registry
  role_arn              = var.platform.inference_role_arn
  isolated              = local.mode != "serverless"
  subnet_ids            = var.platform.subnet_ids
  security_group_ids    = var.platform.security_group_ids
}

module "shadow_model" {
  source = "../modules/model"
  count  = local.shadow

  name               = "${local.name}-shadow"
  environment        = var.environment
  package_arn        = local.config.shadow.model_package_arn
  registry           = local.registry
  role_arn           = var.platform.inference_role_arn
  subnet_ids         = var.platform.subnet_ids
  security_group_ids = var.platform.security_group_ids
}

module "volume_key" {
  source = "../modules/volume_key"

  instance_types = local.mode == "batch" ? [local.config.batch.instance_type] : compact([local.instances.type, local.instances.shadow])
  kms_key_arn    = var.platform.volume_kms_key_arn
}

module "endpoint" {
  source = "../modules/endpoint"
  count  = local.endpoint

  name               = local.name
  project            = local.project
  environment        = var.environment
  model_name         = module.model[0].name
  shadow_model_name  = one(module.shadow_model[*].name)
  platform           = var.platform
  volume_kms_key_arn = module.volume_key.kms_key_arn
  serving            = local.config.serving
  serverless         = local.config.serverless
  async              = local.config.async
  capture            = local.config.capture
  rollout            = local.config.rollout
  shadow             = local.config.shadow
  alarms             = local.config.alarms
}

module "scaling" {
  source = "../modules/scaling"
  count  = local.scaled

  name           = local.name
  environment    = var.environment
  mode           = local.mode
  endpoint_name  = module.endpoint[0].name
  variant_name   = module.endpoint[0].variant_name
  instance_type  = local.config.serving.instance_type
  instance_count = local.config.serving.instance_count
  async          = local.config.async
  scaling        = local.config.scaling
}

module "batch" {
  source = "../modules/batch"
  count  = local.batch

  name               = local.name
  project            = local.project
  environment        = var.environment
  model_name         = module.model[0].name
  platform           = var.platform
  volume_kms_key_arn = module.volume_key.kms_key_arn
  max_payload_mb     = local.config.serving.max_payload_mb
  capture            = local.config.capture
  batch              = local.config.batch
  tags               = module.settings.tags
}

module "alarms" {
  source = "../modules/alarms"
  count  = local.released

  name          = local.name
  account       = local.config.aws_account
  region        = local.config.aws_region
  environment   = var.environment
  mode          = local.mode
  endpoint_name = local.mode == "batch" ? null : local.name
  batch         = one(module.batch)
  async         = local.config.async
  thresholds    = local.config.alarms
  topic_arn     = var.platform.alarm_topic_arn

  capture = local.mode == "realtime" && local.config.capture.percentage > 0 ? {
    bucket     = var.platform.capture_bucket
    prefix     = local.capture_to
    percentage = local.config.capture.percentage
  } : null
}
