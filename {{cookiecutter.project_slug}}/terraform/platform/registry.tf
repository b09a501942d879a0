# Versions of the model, each waiting for approval.
resource "aws_sagemaker_model_package_group" "this" {
  model_package_group_name        = local.group
  model_package_group_description = "Models of ${local.name}"

  lifecycle {
    precondition {
      condition     = !contains([for environment in module.settings.neighbours : module.settings.groups[environment].models], local.group)
      error_message = "config/${var.environment}.yaml: model_package_group ${local.group} is that of another environment in account ${local.account} too: leave it out, then it is ${local.name}, or give each its own."
    }
  }
}

# Where a model is trained, the deploy roles of environments in other accounts read versions: their files and images for a copy
# (bucket, key and repository let them, too), and their status before each deployment. The policies name accounts as principals
# and roles in a condition, so that the roles need not exist yet.
resource "aws_sagemaker_model_package_group_policy" "copiers" {
  count = length(local.copiers) > 0 ? 1 : 0

  model_package_group_name = aws_sagemaker_model_package_group.this.model_package_group_name

  resource_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CopiersRead"
      Effect    = "Allow"
      Principal = { AWS = local.copying_accounts }
      Action    = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]
      Resource  = local.versions
      Condition = { ArnEquals = { "aws:PrincipalArn" = local.copiers } }
    }]
  })
}

# Images of container/Dockerfile; a managed container comes from AWS and needs none.
resource "aws_ecr_repository" "this" {
  count = local.config.container == "own" ? 1 : 0

  name                 = local.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.environment == "dev"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = module.key["artifacts"].arn
  }
}

# Images with a tag are those of versions, and stay.
resource "aws_ecr_lifecycle_policy" "this" {
  count = local.config.container == "own" ? 1 : 0

  repository = aws_ecr_repository.this[0].name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Images that lost their tag"
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_ecr_repository_policy" "copiers" {
  count = local.config.container == "own" && length(local.copiers) > 0 ? 1 : 0

  repository = aws_ecr_repository.this[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CopiersPull"
      Effect    = "Allow"
      Principal = { AWS = local.copying_accounts }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Condition = { ArnEquals = { "aws:PrincipalArn" = local.copiers } }
    }]
  })
}
