module "gateway" {
  source = "../.."

  name            = "churn-prod"
  project         = "churn"
  environment     = "prod"
  account         = "111122223333"
  region          = "eu-west-1"
  endpoint_name   = "churn-prod"
  mode            = "realtime"
  log_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"

  contract = {
    schema = {
      fields = [
        { name = "age", type = "integer", role = "feature" },
        { name = "churned", type = "boolean", role = "target" },
      ]
    }
  }
}
