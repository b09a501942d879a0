terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # Bucket, key and region come with -backend-config: one state per environment.
  backend "s3" {}
}

provider "aws" {
  region              = local.config.aws_region
  allowed_account_ids = var.offline ? null : [local.config.aws_account]

  skip_credentials_validation = var.offline
  skip_metadata_api_check     = var.offline
  skip_requesting_account_id  = var.offline

  default_tags {
    tags = module.settings.tags
  }
}
