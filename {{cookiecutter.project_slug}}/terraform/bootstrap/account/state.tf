# Where the states of all roots lie, and what keeps a second writer out.
locals {
  locks_by_table = module.state.table != null && local.made.lock_table # a lock file in the bucket needs no table

  existing_log_bucket = contains(["create", "none"], local.config.account.log_bucket) ? null : { name = regex("[^:]*$", local.config.account.log_bucket) }
  log_bucket          = local.made.log_bucket ? { name = module.log_bucket[0].name } : local.existing_log_bucket
}

module "state_key" {
  source = "../../modules/key"
  count  = local.made.state_bucket ? 1 : 0

  name    = "terraform-state"
  purpose = "States of Terraform"
  account = local.account
}

module "state_bucket" {
  source = "../../modules/bucket"
  count  = local.made.state_bucket ? 1 : 0

  name            = module.state.bucket
  key             = module.state_key[0]
  log_bucket      = local.log_bucket
  noncurrent_days = 365 # the way back from a state that was lost or spoilt
}

# Stands for bucket and key: a plan that would destroy or replace either has to destroy this too, and is refused.
resource "terraform_data" "states_are_kept" {
  count = local.made.state_bucket ? 1 : 0

  triggers_replace = [module.state_bucket[0].name, module.state_key[0].arn]

  lifecycle {
    prevent_destroy = true
  }
}

module "log_bucket" {
  source = "../../modules/bucket"
  count  = local.made.log_bucket ? 1 : 0

  name             = "account-logs-${local.account}-${local.region}"
  receives_logs_of = local.account
  retention_days   = { "access/" = 400 }
}

module "lock_key" {
  source = "../../modules/key"
  count  = local.locks_by_table ? 1 : 0

  name    = "terraform-locks"
  purpose = "Locks of Terraform's states"
  account = local.account
}

resource "aws_dynamodb_table" "locks" {
  count = local.locks_by_table ? 1 : 0

  name                        = module.state.table
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
    kms_key_arn = module.lock_key[0].arn
  }
}
