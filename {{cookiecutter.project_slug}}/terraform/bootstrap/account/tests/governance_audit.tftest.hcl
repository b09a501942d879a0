mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  environment = "dev"
  config_dir  = "../../tests/config"
}

run "an_empty_account" {
  command = plan

  assert {
    condition     = aws_cloudtrail.this[0].is_multi_region_trail && aws_cloudtrail.this[0].include_global_service_events && aws_cloudtrail.this[0].enable_log_file_validation
    error_message = "the trail sees all regions, and shows when a file of it was changed"
  }

  assert {
    condition = (
      aws_cloudtrail.this[0].s3_bucket_name == "account-audit-111122223333-eu-west-1" && aws_cloudtrail.this[0].kms_key_id == module.audit_key[0].arn
      && aws_cloudtrail.this[0].cloud_watch_logs_group_arn == "${aws_cloudwatch_log_group.trail[0].arn}:*" && aws_cloudtrail.this[0].cloud_watch_logs_role_arn == module.trail_role[0].arn
    )
    error_message = "the trail lies encrypted in a bucket of its own, and alarms can be made from its log group"
  }

  assert {
    condition     = aws_cloudwatch_log_group.trail[0].retention_in_days == 365 && aws_cloudwatch_log_group.trail[0].kms_key_id == module.audit_key[0].arn
    error_message = "the log group is kept for a year, encrypted"
  }

  assert {
    condition     = aws_config_configuration_recorder.this[0].recording_group[0].all_supported && aws_config_configuration_recorder.this[0].recording_group[0].include_global_resource_types
    error_message = "AWS Config records every kind of resource"
  }

  assert {
    condition     = aws_iam_service_linked_role.config[0].aws_service_name == "config.amazonaws.com" && aws_config_configuration_recorder.this[0].role_arn == aws_iam_service_linked_role.config[0].arn
    error_message = "AWS Config reads with the role that AWS keeps for it"
  }

  assert {
    condition     = aws_config_configuration_recorder_status.this[0].is_enabled && aws_config_delivery_channel.this[0].s3_bucket_name == "account-audit-111122223333-eu-west-1" && aws_config_delivery_channel.this[0].s3_kms_key_arn == module.audit_key[0].arn
    error_message = "the recorder is on and delivers, encrypted, to the bucket of the audit"
  }

  assert {
    condition     = aws_api_gateway_account.this[0].cloudwatch_role_arn == module.api_gateway_role[0].arn
    error_message = "API Gateway may write its logs"
  }
}

run "a_trail_alone" {
  command = plan

  variables {
    environment = "prod"
    config_dir  = "./tests/existing/config"
  }

  assert {
    condition     = length(aws_cloudtrail.this) == 1 && length(module.audit_bucket) == 1
    error_message = "the trail needs the bucket of the audit"
  }

  assert {
    condition     = length(concat(aws_config_configuration_recorder.this, aws_config_delivery_channel.this, aws_config_configuration_recorder_status.this, aws_iam_service_linked_role.config, aws_api_gateway_account.this)) == 0
    error_message = "a recorder and a role that exist are not made again: an account has one of each"
  }
}

run "a_recorder_alone" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/existing/config"
  }

  assert {
    condition     = length(aws_config_configuration_recorder.this) == 1 && length(module.audit_bucket) == 1
    error_message = "the recorder needs the bucket of the audit"
  }

  assert {
    condition     = length(concat(aws_cloudtrail.this, aws_cloudwatch_log_group.trail, module.trail_role)) == 0
    error_message = "a trail that exists is not made again"
  }
}

run "everything_exists" {
  command = plan

  variables {
    config_dir = "./tests/existing/config"
  }

  assert {
    condition     = length(concat(aws_cloudtrail.this, aws_config_configuration_recorder.this, aws_api_gateway_account.this, module.audit_key, module.audit_bucket, module.api_gateway_role)) == 0
    error_message = "what exists is not made again"
  }
}

run "nothing" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/none/config"
  }

  assert {
    condition     = length(concat(aws_cloudtrail.this, aws_config_configuration_recorder.this, aws_api_gateway_account.this, module.audit_key, module.audit_bucket)) == 0
    error_message = "none makes nothing"
  }
}
