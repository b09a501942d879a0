# Who read or wrote which object: data events are paid for by the event, so they cover the buckets of the use case alone.
resource "aws_cloudtrail_event_data_store" "objects" {
  count = local.config.governance.data_events ? 1 : 0

  name                           = "${local.name}-objects"
  kms_key_id                     = module.key["logs"].arn
  retention_period               = 365
  multi_region_enabled           = false
  termination_protection_enabled = var.environment == "prod"

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
      starts_with = [for kind in sort(keys(module.bucket)) : "${module.bucket[kind].arn}/"]
    }
  }
}

# What AWS watches after this was built; the account's recorder is that of terraform/bootstrap/account.
resource "aws_config_config_rule" "this" {
  for_each = local.config.governance.config_rules ? toset([
    "S3_BUCKET_SSL_REQUESTS_ONLY",
    "S3_BUCKET_VERSIONING_ENABLED",
    "S3_BUCKET_PUBLIC_READ_PROHIBITED",
    "SAGEMAKER_ENDPOINT_CONFIGURATION_KMS_KEY_CONFIGURED",
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
}
