module "endpoint" {
  source = "../.."

  name               = "churn-prod"
  project            = "churn"
  environment        = "prod"
  model_name         = "churn-prod-v12-0a1b2c3d"
  volume_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  serving            = { instance_count = 2 }
  rollout            = { type = "canary" }

  platform = {
    capture_bucket      = "churn-prod-capture-111122223333"
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    async_topic_arn     = "arn:aws:sns:eu-west-1:111122223333:churn-prod-async"
  }
}
