mock_provider "aws" {
  source = "../tests/mocks"
}

# Keys that can be told apart.
override_resource {
  target = module.key["data"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/data" }
}

run "on" {
  variables {
    config_dir  = "../tests/switches"
    environment = "dev"
  }

  assert {
    condition     = aws_budgets_budget.monthly.limit_amount == "100" && aws_budgets_budget.monthly.time_unit == "MONTHLY"
    error_message = "the limit is budget.monthly_usd of config/"
  }

  assert {
    condition = toset([
      for notification in aws_budgets_budget.monthly.notification : notification.notification_type
      if contains(notification.subscriber_email_addresses, "owner@example.com")
    ]) == toset(["ACTUAL", "FORECASTED"])
    error_message = "the owner hears of a forecast and of an actual overrun"
  }

  assert {
    condition     = aws_cloudtrail.objects[0].enable_log_file_validation && aws_cloudtrail.objects[0].kms_key_id == module.trail_key[0].arn
    error_message = "records are encrypted, and a change of them shows"
  }

  assert {
    condition = {
      for selector in one(aws_cloudtrail.objects[0].advanced_event_selector).field_selector :
      selector.field => toset(coalesce(selector.equals, selector.starts_with))
      } == {
      "eventCategory"  = toset(["Data"])
      "resources.type" = toset(["AWS::S3::Object"])
      "resources.ARN"  = toset([for kind in ["artifacts", "capture", "data"] : "arn:aws:s3:::churn-dev-${kind}-111122223333/"])
    }
    error_message = "the trail must record who uses the objects of the use case's buckets"
  }

  assert {
    condition     = !contains([for bucket in module.bucket : bucket.name], aws_cloudtrail.objects[0].s3_bucket_name)
    error_message = "records must not lie in a bucket that they are about: each would make another one"
  }

  assert {
    condition = toset([for rule in aws_config_config_rule.tagged : one(rule.source).source_identifier]) == toset([
      "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", "S3_BUCKET_SSL_REQUESTS_ONLY", "S3_BUCKET_VERSIONING_ENABLED",
      "SAGEMAKER_ENDPOINT_CONFIG_KMS_KEY_REQUIRED", "SAGEMAKER_MODEL_IN_VPC", "SAGEMAKER_MODEL_ISOLATION_ENABLED",
    ])
    error_message = "AWS Config watches buckets, models and endpoints"
  }

  assert {
    condition = alltrue([
      for rule in aws_config_config_rule.tagged :
      startswith(rule.name, "churn-dev-") && one(rule.scope).tag_key == "Project" && one(rule.scope).tag_value == "churn"
    ])
    error_message = "rules of two use cases in an account must not get in each other's way"
  }

  assert {
    condition     = length(split(",", jsondecode(aws_config_config_rule.keys[0].input_parameters).kmsKeyIds)) == 5 && !strcontains(aws_config_config_rule.keys[0].input_parameters, "arn:")
    error_message = "AWS Config watches each key, by its id"
  }

  assert {
    condition     = aws_backup_selection.data[0].resources == toset(["arn:aws:s3:::churn-dev-data-111122223333"]) && aws_backup_vault.data[0].kms_key_arn == module.key["data"].arn
    error_message = "backups are of the data bucket, encrypted with the key of data"
  }

  assert {
    condition     = one(one(aws_backup_plan.data[0].rule).lifecycle).delete_after == 35
    error_message = "backups must not be kept for ever: data that was deleted for a reason would be there still"
  }
}

run "off" {
  variables {
    config_dir  = "../tests/switches"
    environment = "qa"
  }

  assert {
    condition = alltrue([
      length(aws_cloudtrail.objects) == 0, length(module.trail_key) == 0, length(module.trail_bucket) == 0,
      length(aws_config_config_rule.tagged) == 0, length(aws_config_config_rule.keys) == 0,
      length(aws_backup_vault.data) == 0, length(aws_backup_plan.data) == 0, length(aws_backup_selection.data) == 0, length(module.backup_role) == 0,
    ])
    error_message = "what is switched off must not be built"
  }
}

run "refused" {
  command = plan

  variables {
    config_dir  = "../tests/refusals"
    environment = "dev"
  }

  expect_failures = [
    aws_budgets_budget.monthly,
    aws_config_config_rule.tagged,
  ]
}
