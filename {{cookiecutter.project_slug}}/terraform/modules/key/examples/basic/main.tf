provider "aws" {
  region = "eu-west-1"
}

module "key" {
  source = "../.."

  name    = "churn-dev-data"
  purpose = "Data of churn-dev"
  account = "111122223333"
}
