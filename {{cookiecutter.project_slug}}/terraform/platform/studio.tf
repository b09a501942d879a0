# SageMaker Studio in the network of the environment, for the people under `studio.user_profiles`, and MLflow.
locals {
  has_studio = local.config.studio.enabled
  has_mlflow = local.config.studio.mlflow
  # What Studio calls from a network without a way to the internet.
  studio_endpoints = ["ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "sts"]

  # Roles of people: that of Studio, and that of data scientists where there is one.
  users_of_studio = merge(
    { for role in module.studio_role : "studio" => role.name },
    { for name, role in module.people : name => role.name if name == "data-scientist" },
  )
}

resource "aws_sagemaker_domain" "this" {
  count = local.has_studio ? 1 : 0

  domain_name             = local.name
  auth_mode               = "IAM"
  vpc_id                  = module.network.vpc_id
  subnet_ids              = module.network.subnet_ids
  app_network_access_type = "VpcOnly"
  kms_key_id              = module.key["volumes"].arn
  tag_propagation         = "ENABLED" # what people start in it bears the tags of the use case

  default_user_settings {
    execution_role  = module.studio_role[0].arn
    security_groups = module.network.security_group_ids
  }

  retention_policy {
    home_efs_file_system = var.environment == "dev" ? "Delete" : "Retain"
  }

  lifecycle {
    precondition {
      condition     = local.config.network.nat || length(local.studio_lacks) == 0
      error_message = "config/${var.environment}.yaml: Studio calls AWS services from a network without internet: put ${join(", ", local.studio_lacks)} under network.interface_endpoints (or existing_endpoints, where an existing VPC has them), or set network.nat: true."
    }
  }
}

locals {
  studio_lacks = sort(setsubtract(local.studio_endpoints, concat(local.config.network.interface_endpoints, local.config.network.existing_endpoints)))
}

resource "aws_sagemaker_user_profile" "this" {
  for_each = toset(local.has_studio ? local.config.studio.user_profiles : [])

  domain_id         = aws_sagemaker_domain.this[0].id
  user_profile_name = each.key
}

# What people do in Studio: look at data, start pipelines, log runs. It is the role of a data scientist, for the service.
module "studio_role" {
  source = "../modules/role"
  count  = local.has_studio ? 1 : 0

  name                 = "${local.name}-studio"
  project              = local.project
  purpose              = "People in Studio"
  service              = "sagemaker.amazonaws.com"
  account              = local.account
  statements           = local.people_roles["data-scientist"].statements
  id_statements        = local.people_roles["data-scientist"].ids
  permissions_boundary = local.permissions_boundary
}

# Of this domain alone, whose id is not known before: opening it is for people, running applications for Studio.
resource "aws_iam_role_policy" "studio" {
  for_each = local.has_studio ? local.users_of_studio : {}

  name = "studio"
  role = each.value

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = each.key == "studio" ? "ApplicationsRun" : "StudioIsOpened"
      Effect = "Allow"
      Action = each.key == "studio" ? [
        "sagemaker:AddTags", "sagemaker:CreateApp", "sagemaker:CreateSpace", "sagemaker:DeleteApp", "sagemaker:DeleteSpace", "sagemaker:DescribeApp",
        "sagemaker:DescribeDomain", "sagemaker:DescribeSpace", "sagemaker:DescribeUserProfile", "sagemaker:UpdateSpace",
      ] : ["sagemaker:CreatePresignedDomainUrl", "sagemaker:DescribeDomain", "sagemaker:DescribeUserProfile"]
      Resource = concat(
        ["${local.sagemaker}:domain/${aws_sagemaker_domain.this[0].id}"],
        [for kind in ["app", "space", "user-profile"] : "${local.sagemaker}:${kind}/${aws_sagemaker_domain.this[0].id}/*"],
      )
    }]
  })
}

# MLflow, managed by AWS; runs are logged there with its ARN as `tracking.uri`.
resource "aws_sagemaker_mlflow_tracking_server" "this" {
  count = local.has_mlflow ? 1 : 0

  tracking_server_name = local.name
  artifact_store_uri   = "s3://${module.bucket["artifacts"].name}/${local.project}/mlflow"
  role_arn             = module.mlflow_role[0].arn
  tracking_server_size = "Small"
}

module "mlflow_role" {
  source = "../modules/role"
  count  = local.has_mlflow ? 1 : 0

  name    = "${local.name}-mlflow"
  project = local.project
  purpose = "MLflow, which keeps the files of runs"
  service = "sagemaker.amazonaws.com"
  account = local.account
  statements = [
    jsonencode({
      Sid      = "FilesOfRuns"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      Resource = "${local.objects["artifacts"]}/${local.project}/mlflow/*"
    }),
    jsonencode({
      Sid       = "FilesAreListed"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = local.objects["artifacts"]
      Condition = { StringLike = { "s3:prefix" = ["${local.project}/mlflow", "${local.project}/mlflow/*"] } }
    }),
  ]
  id_statements = [
    jsonencode({
      Sid      = "FilesAreEncrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource = module.key["artifacts"].arn
    }),
  ]
  permissions_boundary = local.permissions_boundary
}

resource "aws_iam_role_policy" "mlflow" {
  for_each = local.has_mlflow ? local.users_of_studio : {}

  name = "mlflow"
  role = each.value

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "RunsAreLogged"
      Effect   = "Allow"
      Action   = ["sagemaker:CreatePresignedMlflowTrackingServerUrl", "sagemaker:DescribeMlflowTrackingServer", "sagemaker-mlflow:*"] # all of MLflow, on this server alone
      Resource = "${local.sagemaker}:mlflow-tracking-server/${local.name}"
    }]
  })
}
