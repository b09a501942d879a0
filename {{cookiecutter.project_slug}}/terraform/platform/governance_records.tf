# Who read or wrote which object. Data events are paid for by the event, so they are those of the use case's buckets alone;
# what else happens in the account is recorded by the trail of terraform/bootstrap/account.
locals {
  has_trail  = local.config.governance.data_events
  trail_name = "${local.name}-objects"
}

module "trail_key" {
  source = "../modules/key"
  count  = local.has_trail ? 1 : 0

  name     = "${local.name}-trail"
  purpose  = "Records of who used the objects of ${local.name}"
  account  = local.account
  services = ["cloudtrail.amazonaws.com"]
}

module "trail_bucket" {
  source = "../modules/bucket"
  count  = local.has_trail ? 1 : 0

  name           = "${local.name}-trail-${local.account}"
  key            = module.trail_key[0]
  log_bucket     = module.log_bucket
  delivered_by   = { account = local.account, services = ["cloudtrail.amazonaws.com"] }
  retention_days = { "AWSLogs/" = 400 }
  force_destroy  = var.environment == "dev"
}

resource "aws_cloudtrail" "objects" {
  #checkov:skip=CKV_AWS_67:the buckets are in one region, and so are the events of their objects
  #checkov:skip=CKV_AWS_252:nobody waits for a message per file of records
  #checkov:skip=CKV2_AWS_10:records of each object are looked up when there is a question; in CloudWatch they would cost by the event once more
  count = local.has_trail ? 1 : 0

  name                          = local.trail_name
  s3_bucket_name                = module.trail_bucket[0].name
  kms_key_id                    = module.trail_key[0].arn
  enable_log_file_validation    = true
  include_global_service_events = false

  advanced_event_selector {
    name = "Objects of the use case"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }

    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }

    field_selector {
      field       = "resources.ARN"
      starts_with = [for kind in sort(keys(local.objects)) : "${local.objects[kind]}/"]
    }
  }
}

# What AWS Config watches after all was built. The rules are evaluated when a resource changes; only those of the use case count.
resource "aws_config_config_rule" "tagged" {
  for_each = local.config.governance.config_rules ? toset([
    "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED",
    "S3_BUCKET_SSL_REQUESTS_ONLY",
    "S3_BUCKET_VERSIONING_ENABLED",
    "SAGEMAKER_ENDPOINT_CONFIG_KMS_KEY_REQUIRED",
    "SAGEMAKER_MODEL_IN_VPC",
    "SAGEMAKER_MODEL_ISOLATION_ENABLED",
  ]) : []

  name        = "${local.name}-${replace(lower(each.key), "_", "-")}"
  description = "For what is tagged as ${local.project}"

  source {
    owner             = "AWS"
    source_identifier = each.key
  }

  scope {
    tag_key   = "Project"
    tag_value = local.project
  }

  lifecycle {
    precondition {
      condition     = local.config.account.config_recorder != "none"
      error_message = "config/${var.environment}.yaml: rules of AWS Config need a recorder in the account: let account.config_recorder be create, or the name of the one there is, or set governance.config_rules: false."
    }
  }
}

# Evaluated once a day: a key that is going to be deleted takes with it what it encrypts.
resource "aws_config_config_rule" "keys" {
  count = local.config.governance.config_rules ? 1 : 0

  name             = "${local.name}-kms-cmk-not-scheduled-for-deletion"
  description      = "For the keys of ${local.name}"
  input_parameters = jsonencode({ kmsKeyIds = join(",", [for purpose in sort(keys(module.key)) : element(split("/", module.key[purpose].arn), 1)]) })

  source {
    owner             = "AWS"
    source_identifier = "KMS_CMK_NOT_SCHEDULED_FOR_DELETION"
  }

  depends_on = [aws_config_config_rule.tagged] # which refuse an account without a recorder
}
