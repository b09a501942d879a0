# Features over time, offline and encrypted: the features of data_contract.yaml, the id of a record and the moment of a row.
locals {
  feature_group = try(local.config.feature_store, null)
  has_features  = local.feature_group != null

  contract      = yamldecode(file("${local.repository}/data_contract.yaml"))
  feature_types = { integer = "Integral", number = "Fractional" } # all others are text
  # Python writes the id as text and the moment as ISO 8601 (src/usecase/mlops/feature_store.py).
  keys_of_rows = local.has_features ? { (local.feature_group.record_id) = "String", (local.feature_group.event_time) = "String" } : {}
  features = merge(
    { for field in local.contract.schema.fields : field.name => lookup(local.feature_types, field.type, "String") if field.role == "feature" },
    local.keys_of_rows,
  )
  misnamed = [for name in keys(local.features) : name if !can(regex("^[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}$", name)) || contains(["api_invocation_time", "is_deleted", "write_time"], name)]
}

resource "aws_sagemaker_feature_group" "this" {
  count = local.has_features ? 1 : 0

  feature_group_name             = local.feature_group.group
  description                    = "Features of ${local.name}"
  record_identifier_feature_name = local.feature_group.record_id
  event_time_feature_name        = local.feature_group.event_time
  role_arn                       = module.feature_store_role[0].arn

  dynamic "feature_definition" {
    for_each = local.features

    content {
      feature_name = feature_definition.key
      feature_type = feature_definition.value
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
      condition     = length(local.misnamed) == 0
      error_message = "Feature Store takes no column ${join(", ", local.misnamed)}: in data_contract.yaml (or feature_store in config/${var.environment}.yaml) name columns by 1 to 64 letters, digits, _ and -, not api_invocation_time, is_deleted or write_time; or leave feature_store out."
    }

    precondition {
      condition     = !contains([for environment in module.settings.neighbours : module.settings.groups[environment].features], local.feature_group.group)
      error_message = "config/${var.environment}.yaml: feature_store.group ${local.feature_group.group} is that of another environment in account ${local.account} too: give each its own."
    }

    precondition {
      condition     = local.feature_group.record_id != local.feature_group.event_time
      error_message = "config/${var.environment}.yaml: feature_store.record_id and feature_store.event_time must be two columns."
    }
  }
}

module "feature_store_role" {
  source = "../modules/role"
  count  = local.has_features ? 1 : 0

  name    = "${local.name}-features"
  project = local.project
  purpose = "Feature Store, which writes the offline store"
  service = "sagemaker.amazonaws.com"
  account = local.account
  statements = [
    jsonencode({
      Sid      = "FeaturesAreWritten"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"]
      Resource = "${local.objects["data"]}/${local.project}/features/*"
    }),
    jsonencode({
      Sid      = "BucketIsKnown"
      Effect   = "Allow"
      Action   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
      Resource = local.objects["data"]
    }),
    jsonencode({
      Sid    = "TableIsKept" # the one by which the offline store is queried
      Effect = "Allow"
      Action = ["glue:GetTable", "glue:UpdateTable"]
      Resource = [
        for part in ["catalog", "database/sagemaker_featurestore", "table/sagemaker_featurestore/*"] :
        "arn:${local.partition}:glue:${local.region}:${local.account}:${part}"
      ]
    }),
  ]
  id_statements = [
    jsonencode({
      Sid      = "FeaturesAreEncrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource = module.key["data"].arn
    }),
  ]
  permissions_boundary = local.permissions_boundary
}

resource "aws_iam_role_policy" "features" {
  for_each = { for name, role in module.people : name => role.name if local.has_features && name == "data-scientist" }

  name = "features"
  role = each.value

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "FeaturesAreUsed" # the offline store lies with the data that data scientists read
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeFeatureGroup", "sagemaker:PutRecord"]
      Resource = "${local.sagemaker}:feature-group/${lower(local.feature_group.group)}"
    }]
  })
}
