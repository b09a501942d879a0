provider "aws" {
  region = "eu-west-1"
}

module "steward" {
  source = "../.."

  name    = "churn-dev-steward"
  project = "churn"
  purpose = "People who approve and reject models"
  people  = ["arn:aws:iam::111122223333:role/stewards"]
  statements = [jsonencode({
    Sid      = "ModelsAreDecidedOn"
    Effect   = "Allow"
    Action   = "sagemaker:UpdateModelPackage"
    Resource = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/*"
  })]
}
