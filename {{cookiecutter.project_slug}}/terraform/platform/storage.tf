locals {
  project = local.config.project
  # By bucket: the setting of `retention` that bounds the age of objects, by prefix. Kept for good is what describes a model:
  # `registry/` and the outputs of executions, and code, contracts, cards, champions and definitions below `<project>/`.
  retention = {
    artifacts = {}
    data      = { "${local.project}/data/" = "data_days", "${local.project}/feedback/" = "feedback_days" }
    capture   = { "${local.project}/" = "capture_days" } # requests and answers, of whichever mode of serving
  }
}

module "bucket" {
  source   = "../modules/bucket"
  for_each = local.retention

  name       = "${local.name}-${each.key}-${local.config.aws_account}"
  key        = module.key[each.key]
  log_bucket = module.log_bucket

  # What is no number becomes 0, which the module refuses in words.
  retention_days = { for prefix, setting in each.value : prefix => try(tonumber(local.config.retention[setting]), 0) }

  # Versions and the outputs of their executions, for copies in environments of other accounts.
  readers = each.key != "artifacts" || length(local.copiers) == 0 ? null : { roles = local.copiers, prefixes = ["registry/${local.group}/", "${local.group}/"] }

  force_destroy = var.environment == "dev"
}

# Who asked for which object. S3 delivers access logs only to buckets without a key of one's own.
module "log_bucket" {
  source = "../modules/bucket"

  name             = "${local.name}-logs-${local.config.aws_account}"
  receives_logs_of = local.config.aws_account
  retention_days   = { "access/" = 400 }
  force_destroy    = var.environment == "dev"
}
