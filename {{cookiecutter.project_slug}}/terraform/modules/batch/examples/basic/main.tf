module "batch" {
  source = "../.."

  name               = "churn-prod"
  project            = "churn"
  environment        = "prod"
  model_name         = "churn-prod-v12-0a1b2c3d"
  volume_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  max_payload_mb     = 6
  batch              = { schedule = "cron(0 4 * * ? *)" }

  platform = {
    capture_bucket      = "churn-prod-capture-111122223333"
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    log_kms_key_arn     = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    batch_role_arn      = "arn:aws:iam::111122223333:role/churn/churn-prod-batch"
    scheduler_role_arn  = "arn:aws:iam::111122223333:role/churn/churn-prod-scheduler"
  }
}
