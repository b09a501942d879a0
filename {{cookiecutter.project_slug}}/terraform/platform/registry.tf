# Versions of the model, each waiting for approval.
resource "aws_sagemaker_model_package_group" "this" {
  model_package_group_name        = local.config.model_package_group
  model_package_group_description = "Models of ${local.name}"
}

# Images of container/Dockerfile; a managed container comes from AWS and needs none.
resource "aws_ecr_repository" "this" {
  count = local.config.container == "own" ? 1 : 0

  name                 = local.name
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.this.arn
  }
}
