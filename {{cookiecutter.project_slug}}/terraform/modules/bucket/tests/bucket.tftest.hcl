mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name = "churn-dev-data-111122223333"
}

run "of_a_key" {
  variables {
    key            = { arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555" }
    log_bucket     = { name = "churn-dev-logs-111122223333" }
    retention_days = { "churn/data/" = 365 }
  }

  assert {
    condition = alltrue(flatten([
      for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule : [
        rule.bucket_key_enabled,
        [
          for default in rule.apply_server_side_encryption_by_default :
          default.sse_algorithm == "aws:kms" && default.kms_master_key_id == var.key.arn
        ],
      ]
    ]))
    error_message = "objects must be encrypted with the key, at the price of one request per bucket"
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*"
      && try(statement.Condition, {}) == { Bool = { "aws:SecureTransport" = "false" } }
      && toset(statement.Resource) == toset(["arn:aws:s3:::churn-dev-data-111122223333", "arn:aws:s3:::churn-dev-data-111122223333/*"])
    ])
    error_message = "the bucket must refuse requests without TLS"
  }

  assert {
    condition     = length(jsondecode(aws_s3_bucket_policy.this.policy).Statement) == 1
    error_message = "nobody is let in by the bucket's policy"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "the bucket must never become public"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "a deleted or overwritten object must be recoverable"
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "access is decided by policies alone, not by ACLs"
  }

  assert {
    condition     = aws_s3_bucket_logging.this[0].target_bucket == "churn-dev-logs-111122223333" && aws_s3_bucket_logging.this[0].target_prefix == "access/churn-dev-data-111122223333/"
    error_message = "requests are logged, each bucket's in its own folder"
  }

  assert {
    condition     = toset([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.status]) == toset(["Enabled"])
    error_message = "every rule must be in force"
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : try(rule.filter[0].prefix, "") => rule.expiration[0].days
      if try(rule.expiration[0].days, 0) > 0
    } == { "churn/data/" = 365 }
    error_message = "objects below the prefix must be deleted after the days of retention, and no others"
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      rule.id => one(rule.noncurrent_version_expiration[*].noncurrent_days) if length(rule.noncurrent_version_expiration) > 0
    } == { overwritten = 90, "retention-churn/data" = 7 }
    error_message = "older versions must go, soon where objects do"
  }

  assert {
    condition = one(flatten([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.abort_incomplete_multipart_upload[*].days_after_initiation
    ])) == 7
    error_message = "unfinished uploads must go"
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "objects must not go with the bucket"
  }

  assert {
    condition     = output.name == "churn-dev-data-111122223333" && output.arn == aws_s3_bucket.this.arn
    error_message = "the outputs name the bucket"
  }
}

run "of_logs" {
  variables {
    receives_logs_of = "111122223333"
    noncurrent_days  = 30
    force_destroy    = true
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "access logs reach only a bucket without a KMS key"
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      statement.Effect == "Allow" && statement.Principal == { Service = "logging.s3.amazonaws.com" }
      && statement.Action == "s3:PutObject" && statement.Resource == "arn:aws:s3:::churn-dev-data-111122223333/access/*"
      && try(statement.Condition, {}) == { StringEquals = { "aws:SourceAccount" = "111122223333" } }
    ])
    error_message = "S3 may write the account's access logs, in their folder"
  }

  assert {
    condition     = length(aws_s3_bucket_logging.this) == 0
    error_message = "a bucket does not log itself"
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id => sum(concat([0], rule.noncurrent_version_expiration[*].noncurrent_days))
    } == { overwritten = 30, unfinished-uploads = 0 }
    error_message = "without retention nothing is deleted but older versions and unfinished uploads"
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy
    error_message = "force_destroy counts"
  }
}

run "of_reports" {
  command = plan

  variables {
    delivered_by = { account = "111122223333", services = ["cloudtrail.amazonaws.com"] }
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      statement.Effect == "Allow" && statement.Principal == { Service = ["cloudtrail.amazonaws.com"] }
      && jsonencode(statement.Action) == jsonencode(["s3:GetBucketAcl", "s3:ListBucket", "s3:PutObject"])
      && try(statement.Condition, {}) == { StringEquals = { "aws:SourceAccount" = "111122223333" } }
    ])
    error_message = "the services that deliver reports may write, for the account alone"
  }
}

run "a_bad_name" {
  command = plan

  variables {
    name = "Churn_dev"
  }

  expect_failures = [var.name]
}

run "logs_under_a_key" {
  command = plan

  variables {
    key              = { arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555" }
    receives_logs_of = "111122223333"
  }

  expect_failures = [var.receives_logs_of]
}

run "endless_retention" {
  command = plan

  variables {
    retention_days = { "churn/data/" = 0 }
  }

  expect_failures = [var.retention_days]
}

run "half_a_day" {
  command = plan

  variables {
    retention_days = { "churn/data/" = 1.5 }
  }

  expect_failures = [var.retention_days]
}

run "versions_for_no_day" {
  command = plan

  variables {
    noncurrent_days = 0
  }

  expect_failures = [var.noncurrent_days]
}
