# SageMaker Studio in the network of the environment, for the people under `studio.user_profiles`.
locals {
  studio = local.config.studio.enabled
  # What Studio calls from a network without a way to the internet.
  studio_endpoints = ["ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "sts"]
}

resource "aws_sagemaker_domain" "this" {
  count = local.studio ? 1 : 0

  domain_name             = local.name
  auth_mode               = "IAM"
  vpc_id                  = module.network.vpc_id
  subnet_ids              = module.network.subnet_ids
  app_network_access_type = "VpcOnly"
  kms_key_id              = module.key["volumes"].arn

  default_user_settings {
    execution_role  = module.studio_role[0].arn
    security_groups = module.network.security_group_ids
  }

  retention_policy {
    home_efs_file_system = var.environment == "dev" ? "Delete" : "Retain"
  }

  lifecycle {
    precondition {
      condition = local.config.network.nat || length(setsubtract(
        local.studio_endpoints, concat(local.config.network.interface_endpoints, local.config.network.existing_endpoints)
      )) == 0
      error_message = "config/${var.environment}.yaml: Studio runs in a network without internet and calls AWS services from there: put ${join(", ", local.studio_endpoints)} under network.interface_endpoints."
    }
  }
}

resource "aws_sagemaker_user_profile" "this" {
  for_each = toset(local.studio ? local.config.studio.user_profiles : [])

  domain_id         = aws_sagemaker_domain.this[0].id
  user_profile_name = each.key
}

# What people do in Studio: look at data, start pipelines, log runs. It is the role of a data scientist, for the service.
module "studio_role" {
  source = "../modules/role"
  count  = local.studio ? 1 : 0

  name    = "${local.name}-studio"
  project = local.project
  purpose = "People in Studio"
  service = "sagemaker.amazonaws.com"
  account = local.account
  statements = concat(
    local.people_roles["data-scientist"].statements,
    [jsonencode({
      Sid      = "StudioOpens"
      Effect   = "Allow"
      Action   = ["sagemaker:CreateApp", "sagemaker:CreatePresignedDomainUrl", "sagemaker:CreateSpace", "sagemaker:DeleteApp", "sagemaker:DeleteSpace", "sagemaker:DescribeApp", "sagemaker:DescribeDomain", "sagemaker:DescribeSpace", "sagemaker:DescribeUserProfile"]
      Resource = [for kind in ["app", "domain", "space", "user-profile"] : "${local.sagemaker}:${kind}/*"] # the id of the domain, which needs this role first
    })],
  )
  permissions_boundary = local.permissions_boundary
}

# MLflow, managed by AWS; runs are logged there with `tracking.uri` set to its ARN.
resource "aws_sagemaker_mlflow_tracking_server" "this" {
  count = local.config.studio.mlflow ? 1 : 0

  tracking_server_name = local.name
  artifact_store_uri   = "s3://${module.bucket["artifacts"].name}/${local.group}/mlflow"
  role_arn             = module.mlflow_role[0].arn
  tracking_server_size = "Small"
}

module "mlflow_role" {
  source = "../modules/role"
  count  = local.config.studio.mlflow ? 1 : 0

  name                 = "${local.name}-mlflow"
  project              = local.project
  purpose              = "MLflow, which keeps the files of runs"
  service              = "sagemaker.amazonaws.com"
  account              = local.account
  statements           = concat(local.artifacts_are_read, local.results_are_written)
  permissions_boundary = local.permissions_boundary
}
