module "state" {
  source = "../.."

  config = {
    aws_account = "111122223333"
    aws_region  = "eu-west-1"
    account     = { state_bucket = "create", lock_table = "create" }
    state       = { bucket = "", lock = "s3", table = "" }
  }
}

output "bucket" {
  description = "Name of the bucket."
  value       = module.state.bucket
}
