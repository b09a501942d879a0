module "scaling" {
  source = "../.."

  name           = "churn-prod"
  environment    = "prod"
  mode           = "realtime"
  endpoint_name  = "churn-prod"
  variant_name   = "AllTraffic"
  instance_type  = "ml.m5.large"
  instance_count = 2

  scaling = {
    minimum   = 2
    maximum   = 4
    schedules = { nights = { cron = "cron(0 20 * * ? *)", minimum = 2, maximum = 2 } }
  }
}
