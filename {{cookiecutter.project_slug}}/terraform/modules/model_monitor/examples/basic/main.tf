module "model_monitor" {
  source = "../.."

  name          = "churn-prod"
  environment   = "prod"
  endpoint_name = "churn-prod"
  role_arn      = "arn:aws:iam::111122223333:role/churn/churn-prod-model-monitor"
  baseline_uri  = "s3://churn-prod-artifacts-111122223333/registry/churn-prod/0a1b2c3d"
  report_uri    = "s3://churn-prod-capture-111122223333/churn/monitor/churn-prod/model-monitor"
  model_monitor = { data_quality = true }

  platform = {
    subnet_ids          = ["subnet-0a1b2c3d4e5f60718", "subnet-0f1e2d3c4b5a69788"]
    security_group_ids  = ["sg-0123456789abcdef0"]
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
    volume_kms_key_arn  = "arn:aws:kms:eu-west-1:111122223333:key/22222222-2222-3333-4444-555555555555"
  }
}
