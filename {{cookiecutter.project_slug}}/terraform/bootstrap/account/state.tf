# Where the states of all roots lie, and what keeps a second writer out.
locals {
  state_bucket = try(coalesce(local.named.state_bucket, local.config.state.bucket), "terraform-state-${local.account}-${local.region}")
  lock_table   = try(coalesce(local.named.lock_table, local.config.state.table), "terraform-locks")
  locks        = contains(["dynamodb", "both"], local.config.state.lock)
  log_bucket   = local.made.log_bucket ? { name = module.log_bucket[0].name } : (local.named.log_bucket == "" ? null : { name = local.named.log_bucket })
}

module "state_key" {
  source = "../../modules/key"
  count  = local.made.state_bucket ? 1 : 0

  name    = "terraform-state"
  purpose = "States of Terraform"
  account = local.account
}

# Not empty from the first apply on, so AWS refuses to delete it.
module "state_bucket" {
  source = "../../modules/bucket"
  count  = local.made.state_bucket ? 1 : 0

  name            = local.state_bucket
  key             = module.state_key[0]
  log_bucket      = local.log_bucket
  noncurrent_days = 365 # the way back from a state that was lost or spoilt
}

module "log_bucket" {
  source = "../../modules/bucket"
  count  = local.made.log_bucket ? 1 : 0

  name             = "account-logs-${local.account}-${local.region}"
  receives_logs_of = local.account
  retention_days   = { "access/" = 400 }
}

# Only for `state.lock: dynamodb | both`; a lock file in the bucket needs no table.
resource "aws_dynamodb_table" "locks" {
  count = local.locks && local.made.lock_table ? 1 : 0

  name                        = local.lock_table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "LockID"
  deletion_protection_enabled = true

  attribute {
    name = "LockID"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = one(module.state_key[*].arn)
  }
}
