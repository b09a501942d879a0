module "alarms" {
  source = "../.."

  name          = "churn-prod"
  account       = "111122223333"
  region        = "eu-west-1"
  environment   = "prod"
  mode          = "realtime"
  endpoint_name = "churn-prod"
  topic_arn     = "arn:aws:sns:eu-west-1:111122223333:churn-prod-alarms"
}
