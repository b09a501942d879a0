module "monitor" {
  source = "../.."

  name              = "churn-prod"
  project           = "churn"
  environment       = "prod"
  account           = "111122223333"
  region            = "eu-west-1"
  endpoint_name     = "churn-prod"
  model_package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn-prod/3"
  package           = { bucket = "churn-prod-artifacts-111122223333", key = "churn/monitor/0a1b2c3d/monitor.zip" }
  capture_uri       = "s3://churn-prod-capture-111122223333/churn/capture/churn-prod"
  baseline_uri      = "s3://churn-prod-artifacts-111122223333/registry/churn-prod/0a1b2c3d/statistics"
  report_uri        = "s3://churn-prod-capture-111122223333/churn/monitor/churn-prod"

  platform = {
    artifact_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    capture_kms_key_arn  = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
    log_kms_key_arn      = "arn:aws:kms:eu-west-1:111122223333:key/44444444-2222-3333-4444-555555555555"
    alarm_topic_arn      = "arn:aws:sns:eu-west-1:111122223333:churn-prod-alarms"
  }
}
