# What the pipeline and terraform/serving need to know of this environment, in one place: `PlatformFacts` in Python.
locals {
  facts = {
    artifact_bucket      = module.bucket["artifacts"].name
    data_bucket          = module.bucket["data"].name
    capture_bucket       = module.bucket["capture"].name
    artifact_kms_key_arn = module.key["artifacts"].arn
    data_kms_key_arn     = module.key["data"].arn
    volume_kms_key_arn   = module.key["volumes"].arn
    capture_kms_key_arn  = module.key["capture"].arn
    log_kms_key_arn      = module.key["logs"].arn
    subnet_ids           = module.network.subnet_ids
    security_group_ids   = module.network.security_group_ids
    pipeline_role_arn    = module.role["pipeline"].arn
    processing_role_arn  = module.role["processing"].arn
    training_role_arn    = module.role["training"].arn
    inference_role_arn   = module.role["inference"].arn
    batch_role_arn       = module.role["batch"].arn
    scheduler_role_arn   = module.role["scheduler"].arn
    image_repository_url = join("", aws_ecr_repository.this[*].repository_url)
    model_package_group  = aws_sagemaker_model_package_group.this.model_package_group_name
    alarm_topic_arn      = aws_sns_topic.this["alarms"].arn
    async_topic_arn      = aws_sns_topic.this["async"].arn
  }
}

resource "aws_ssm_parameter" "platform" {
  #checkov:skip=CKV2_AWS_34:names and ARNs, no secret: whoever may read it need not decrypt
  #checkov:skip=CKV_AWS_337:names and ARNs, no secret: whoever may read it need not decrypt
  name        = "/${local.project}/${var.environment}/platform"
  description = "What terraform/platform has made, for the pipeline and terraform/serving"
  type        = "String"
  value       = jsonencode(local.facts)
}
