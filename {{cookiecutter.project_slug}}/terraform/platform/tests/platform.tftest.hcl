mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  config_dir = "./tests/config"
}

run "own_container" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = local.config.budget.monthly_usd == 200 && local.config.serving.port == 9090
    error_message = "config/<environment>.yaml must win over config/defaults.yaml"
  }

  assert {
    condition     = try(local.config.serving.max_payload_mb, 0) == 6 && local.config.project == "churn"
    error_message = "what config/<environment>.yaml leaves out must stay, inside a mapping too"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "the key must rotate"
  }

  assert {
    condition     = aws_s3_bucket.artifacts.bucket == "churn-dev-artifacts-111122223333"
    error_message = "bucket names are global: project, environment and account make them unique"
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_server_side_encryption_configuration.artifacts.rule : alltrue([
        for default in rule.apply_server_side_encryption_by_default :
        default.sse_algorithm == "aws:kms" && default.kms_master_key_id == aws_kms_key.this.arn
      ])
    ])
    error_message = "objects must be encrypted with the use case's key"
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.artifacts.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*"
      && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
      && toset(statement.Resource) == toset([aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"])
    ])
    error_message = "the bucket must refuse requests without TLS"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.artifacts.block_public_acls,
      aws_s3_bucket_public_access_block.artifacts.block_public_policy,
      aws_s3_bucket_public_access_block.artifacts.ignore_public_acls,
      aws_s3_bucket_public_access_block.artifacts.restrict_public_buckets,
    ])
    error_message = "the bucket must never become public"
  }

  assert {
    condition     = aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled"
    error_message = "a deleted or overwritten object must be recoverable"
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.artifacts.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "access is decided by policies alone, not by ACLs"
  }

  assert {
    condition     = toset([for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule : rule.status]) == toset(["Enabled"])
    error_message = "old versions and unfinished uploads must go away"
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule : rule.filter[0].prefix => rule.expiration[0].days
      if length(rule.expiration) > 0
    } == { "churn/data/" = 365, "churn/capture/" = 30, "churn/feedback/" = 365 }
    error_message = "data, captured requests and feedback must be deleted after the days of `retention`"
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule :
      one(rule.noncurrent_version_expiration).noncurrent_days == 7 if length(rule.expiration) > 0
    ])
    error_message = "the versions that a deletion leaves behind must follow soon"
  }

  assert {
    condition     = aws_ecr_repository.this[0].image_tag_mutability == "IMMUTABLE"
    error_message = "an image tag must never move"
  }

  assert {
    condition     = aws_ecr_repository.this[0].image_scanning_configuration[0].scan_on_push
    error_message = "images must be scanned"
  }

  assert {
    condition     = aws_ecr_repository.this[0].encryption_configuration[0].kms_key == aws_kms_key.this.arn
    error_message = "images must be encrypted with the use case's key"
  }

  assert {
    condition     = output.model_package_group == "churn" && output.image_repository_url != null
    error_message = "the outputs name the registry and the image repository"
  }
}

run "managed_container" {
  variables {
    environment = "qa"
  }

  assert {
    condition     = length(aws_ecr_repository.this) == 0 && output.image_repository_url == null
    error_message = "a managed container needs no image repository"
  }

  assert {
    condition     = local.config.budget.monthly_usd == 100
    error_message = "a setting that only config/defaults.yaml has must count"
  }

  assert {
    condition     = strcontains(aws_kms_key.this.policy, "arn:aws:iam::012345678901:root")
    error_message = "an account id keeps its leading zero"
  }
}

run "unknown_environment" {
  command = plan

  variables {
    environment = "local"
  }

  expect_failures = [var.environment]
}

run "blank_account" {
  command = plan

  variables {
    environment = "prod"
  }

  expect_failures = [var.environment]
}

run "endless_retention" {
  command = plan

  variables {
    config_dir  = "./tests/config/endless"
    environment = "dev"
  }

  expect_failures = [aws_s3_bucket_lifecycle_configuration.artifacts]
}
