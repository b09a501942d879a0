# Features for training, offline and encrypted. Columns and their types are those of data_contract.yaml.
locals {
  contract          = yamldecode(file("${local.repository}/data_contract.yaml"))
  columns           = { for field in local.contract.schema.fields : field.name => field if try(field.role, "feature") != "ignored" }
  group_of_features = try(local.config.feature_store, null)
  feature_types     = { integer = "Integral", number = "Fractional" } # all others are text
}

resource "aws_sagemaker_feature_group" "this" {
  count = local.group_of_features == null ? 0 : 1

  feature_group_name             = local.group_of_features.group
  record_identifier_feature_name = local.group_of_features.record_id
  event_time_feature_name        = local.group_of_features.event_time
  role_arn                       = module.feature_store_role[0].arn

  dynamic "feature_definition" {
    for_each = merge(local.columns, { (local.group_of_features.event_time) = { type = "string" } })

    content {
      feature_name = feature_definition.key
      feature_type = lookup(local.feature_types, feature_definition.value.type, "String")
    }
  }

  offline_store_config {
    s3_storage_config {
      s3_uri     = "s3://${module.bucket["data"].name}/${local.project}/features"
      kms_key_id = module.key["data"].arn
    }
  }

  lifecycle {
    precondition {
      condition     = contains(keys(local.columns), local.group_of_features.record_id)
      error_message = "config/${var.environment}.yaml: feature_store.record_id must be a column of data_contract.yaml."
    }
  }
}

module "feature_store_role" {
  source = "../modules/role"
  count  = local.group_of_features == null ? 0 : 1

  name    = "${local.name}-features"
  project = local.project
  purpose = "Feature Store, which writes the offline store"
  service = "sagemaker.amazonaws.com"
  account = local.account
  statements = concat(local.data_is_read, [
    jsonencode({
      Sid      = "FeaturesAreWritten"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"]
      Resource = "${local.objects["data"]}/${local.project}/features/*"
    }),
    jsonencode({
      Sid      = "BucketIsKnown"
      Effect   = "Allow"
      Action   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
      Resource = local.objects["data"]
    }),
    jsonencode({ Sid = "FeaturesAreEncrypted", Effect = "Allow", Action = "kms:GenerateDataKey", Resource = module.key["data"].arn }),
  ])
  permissions_boundary = local.permissions_boundary
}
