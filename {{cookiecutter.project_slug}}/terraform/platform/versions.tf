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
  allowed_account_ids = [local.config.aws_account]

  default_tags {
    tags = local.tags
  }
}
