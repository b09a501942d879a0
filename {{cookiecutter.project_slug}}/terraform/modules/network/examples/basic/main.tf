provider "aws" {
  region = "eu-west-1"
}

module "key" {
  source = "../../../key"

  name          = "churn-dev-logs"
  purpose       = "Logs of churn-dev"
  account       = "111122223333"
  log_groups_of = "eu-west-1"
}

module "network" {
  source = "../.."

  name            = "churn-dev"
  project         = "churn"
  region          = "eu-west-1"
  account         = "111122223333"
  log_kms_key_arn = module.key.arn
  settings        = { zones = ["a", "b"] }
}
