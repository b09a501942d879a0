provider "aws" {
  region = "eu-west-1"
}

module "key" {
  source = "../../../key"

  name    = "churn-dev-data"
  purpose = "Data of churn-dev"
  account = "111122223333"
}

module "log_bucket" {
  source = "../.."

  name             = "churn-dev-logs-111122223333"
  receives_logs_of = "111122223333"
  retention_days   = { "access/" = 400 }
}

module "data" {
  source = "../.."

  name           = "churn-dev-data-111122223333"
  key            = module.key
  log_bucket     = module.log_bucket
  retention_days = { "churn/data/" = 365 }
}
