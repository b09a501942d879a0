module "model" {
  source = "../.."

  name               = "churn-dev"
  environment        = "dev"
  package_arn        = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/12"
  registry           = { account = "111122223333", region = "eu-west-1", group = "churn" }
  role_arn           = "arn:aws:iam::111122223333:role/churn/churn-dev-inference"
  subnet_ids         = ["subnet-0a1b2c3d4e5f60718", "subnet-0f1e2d3c4b5a69788"]
  security_group_ids = ["sg-0123456789abcdef0"]
}
