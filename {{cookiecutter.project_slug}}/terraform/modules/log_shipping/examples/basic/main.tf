module "log_shipping" {
  source = "../.."

  name          = "churn-prod"
  project       = "churn"
  account       = "111122223333"
  region        = "eu-west-1"
  log_groups    = ["/aws/lambda/churn-prod-monitor"]
  domain_arn    = "arn:aws:es:eu-west-1:111122223333:domain/logs"
  backup_bucket = "churn-prod-capture-111122223333"

  platform = {
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
    log_kms_key_arn     = "arn:aws:kms:eu-west-1:111122223333:key/44444444-2222-3333-4444-555555555555"
  }
}
