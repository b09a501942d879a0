locals {
  version = try(element(split("/", var.package_arn), 2), "")
}

# Renewed whenever SageMaker needs a new model. Its id makes names unique: the model before must be able to stay, because a
# roll-out that SageMaker takes back goes on with it, and it may be deployed again meanwhile.
resource "terraform_data" "release" {
  triggers_replace = [
    var.package_arn, var.role_arn, var.isolated, sort(var.subnet_ids), sort(var.security_group_ids), var.container_environment
  ]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_model" "this" {
  name                     = "${var.name}-v${local.version}-${substr(terraform_data.release.id, 0, 8)}"
  execution_role_arn       = var.role_arn
  enable_network_isolation = var.isolated

  primary_container {
    model_package_name = var.package_arn
    environment        = var.container_environment
  }

  dynamic "vpc_config" {
    for_each = var.isolated ? ["own"] : []

    content {
      subnets            = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
