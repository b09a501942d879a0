locals {
  project = local.config.project
  # What is kept for good: `registry/` and the models, code, contracts and cards below `<project>/`.
  buckets = {
    artifacts = { key = "artifacts", retention = {} }
    data      = { key = "data", retention = { data = "data_days", feedback = "feedback_days" } }
    capture   = { key = "capture", retention = { capture = "capture_days" } }
  }
}

module "bucket" {
  source   = "../modules/bucket"
  for_each = local.buckets

  name        = "${local.name}-${each.key}-${local.config.aws_account}"
  kms_key_arn = module.key[each.value.key].arn
  log_bucket  = module.log_bucket.name
  readers     = each.key == "artifacts" && length(local.copiers) > 0 ? { "registry/" = local.copiers } : {}

  retention_days = { # what is no number becomes 0, which the module refuses in words
    for folder, setting in each.value.retention : "${local.project}/${folder}/" => try(tonumber(local.config.retention[setting]), 0)
  }

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
