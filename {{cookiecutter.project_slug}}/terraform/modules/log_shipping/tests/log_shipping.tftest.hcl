mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name          = "churn-dev"
  project       = "churn"
  account       = "111122223333"
  region        = "eu-west-1"
  log_groups    = ["/aws/sagemaker/Endpoints/churn-dev", "/aws/lambda/churn-dev-monitor"]
  domain_arn    = "arn:aws:es:eu-west-1:111122223333:domain/logs"
  backup_bucket = "churn-dev-capture-111122223333"

  platform = {
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
    log_kms_key_arn     = "arn:aws:kms:eu-west-1:111122223333:key/44444444-2222-3333-4444-555555555555"
  }
}

run "both_groups" {
  assert {
    condition     = { for name, filter in aws_cloudwatch_log_subscription_filter.this : name => [filter.log_group_name, filter.filter_pattern] } == { churn-dev = ["/aws/sagemaker/Endpoints/churn-dev", ""], churn-dev-monitor = ["/aws/lambda/churn-dev-monitor", ""] }
    error_message = "all lines of each group must be sent"
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this.opensearch_configuration[0].domain_arn == var.domain_arn && aws_kinesis_firehose_delivery_stream.this.opensearch_configuration[0].s3_backup_mode == "FailedDocumentsOnly"
    error_message = "they go to the domain, and what it does not take is kept"
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this.server_side_encryption[0].key_arn == var.platform.log_kms_key_arn && aws_kinesis_firehose_delivery_stream.this.opensearch_configuration[0].s3_configuration[0].kms_key_arn == var.platform.capture_kms_key_arn && aws_cloudwatch_log_group.this.kms_key_id == var.platform.log_kms_key_arn
    error_message = "lines must be encrypted on their way and where they stay"
  }
}

run "another_service_is_refused" {
  command = plan

  variables {
    domain_arn = "arn:aws:aoss:eu-west-1:111122223333:collection/logs"
  }

  expect_failures = [var.domain_arn]
}

run "a_long_name_is_refused" {
  command = plan

  variables {
    name = "a-name-that-leaves-the-role-that-ships-logs-no-room-"
  }

  expect_failures = [var.name]
}
