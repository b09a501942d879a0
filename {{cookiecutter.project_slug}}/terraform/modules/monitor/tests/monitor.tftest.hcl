mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                 = "churn-dev"
  project              = "churn"
  environment          = "dev"
  account              = "111122223333"
  region               = "eu-west-1"
  endpoint_name        = "churn-dev"
  model_package_arn    = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/3"
  package              = { bucket = "churn-dev-artifacts-111122223333", key = "churn/monitor/0a1b2c3d/monitor.zip" }
  capture_uri          = "s3://churn-dev-capture-111122223333/churn/capture/churn-dev"
  baseline_uri         = "s3://churn-dev-artifacts-111122223333/registry/churn/0a1b2c3d"
  report_uri           = "s3://churn-dev-capture-111122223333/churn/monitor/churn-dev"
  permissions_boundary = "arn:aws:iam::111122223333:policy/churn/churn-dev-boundary"

  platform = {
    artifact_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    capture_kms_key_arn  = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
    log_kms_key_arn      = "arn:aws:kms:eu-west-1:111122223333:key/44444444-2222-3333-4444-555555555555"
    alarm_topic_arn      = "arn:aws:sns:eu-west-1:111122223333:churn-dev-alarms"
  }
}

run "of_the_defaults" {
  assert {
    condition = aws_lambda_function.this.environment[0].variables == tomap({
      USECASE_PROJECT       = "churn"
      USECASE_ENVIRONMENT   = "dev"
      ENDPOINT_NAME         = "churn-dev"
      MODEL_PACKAGE_ARN     = var.model_package_arn
      CAPTURE_URI           = var.capture_uri
      BASELINE_URI          = var.baseline_uri
      REPORT_URI            = var.report_uri
      WINDOW_MINUTES        = "60"
      CAPTURE_GRACE_MINUTES = "10"
      MINIMUM_ROWS          = "500"
      MINIMUM_EFFECT        = "0.05"
      FALSE_ALARMS          = "0.05"
    })
    error_message = "the function must know window, places and limits"
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "python3.12" && aws_lambda_function.this.handler == "usecase.mlops.monitoring.function.handler" && aws_lambda_function.this.architectures == tolist(["x86_64"])
    error_message = "the code is built for this Python and this processor"
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 1 && aws_lambda_function.this.timeout <= 900
    error_message = "two at a time would judge one window twice"
  }

  assert {
    condition     = aws_lambda_function.this.kms_key_arn == var.platform.log_kms_key_arn && aws_cloudwatch_log_group.this.kms_key_id == var.platform.log_kms_key_arn && aws_cloudwatch_log_group.this.retention_in_days == 365 && aws_sqs_queue.this.kms_master_key_id == var.platform.log_kms_key_arn
    error_message = "environment, log and queue must be encrypted, and the log kept for a year"
  }

  assert {
    condition     = aws_lambda_function.this.dead_letter_config[0].target_arn == aws_sqs_queue.this.arn && aws_scheduler_schedule.this.target[0].dead_letter_config[0].arn == aws_sqs_queue.this.arn
    error_message = "a window that was given up must be kept"
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.this.target[0].input) == { time = "<aws.scheduler.scheduled-time>" } && strcontains(aws_scheduler_schedule.this.target[0].input, "<aws.scheduler.scheduled-time>")
    error_message = "the window follows from the time that was planned, so that a second try looks at the same one"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["drift-windows"].evaluation_periods == 3 && aws_cloudwatch_metric_alarm.this["drift-windows"].datapoints_to_alarm == 2 && aws_cloudwatch_metric_alarm.this["drift-newest"].evaluation_periods == 1
    error_message = "two of three windows, and the newest"
  }

  assert {
    condition     = aws_cloudwatch_composite_alarm.drift.alarm_rule == "ALARM(\"churn-dev-drift-newest\") AND ALARM(\"churn-dev-drift-windows\")" && toset(aws_cloudwatch_composite_alarm.drift.alarm_actions) == toset([var.platform.alarm_topic_arn])
    error_message = "drift is told when both hold"
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_metric_alarm.anomaly)) : length(coalesce(alarm.alarm_actions, [])) == 0 && !contains(output.alarms, output.drift_alarm)])
    error_message = "nothing else may notify: each trouble is one message"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["monitor-silent"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["monitor-silent"].comparison_operator == "LessThanThreshold"
    error_message = "no report is a reason for alarm"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.anomaly : alarm.threshold_metric_id == "band" && anytrue([for query in alarm.metric_query : try(query.expression, null) == "ANOMALY_DETECTION_BAND(seen, 3)"])]) && length(aws_cloudwatch_metric_alarm.anomaly) == 2
    error_message = "number and distribution of predictions have a usual course"
  }
}

run "the_role_reads_traffic_and_writes_reports_alone" {
  command = plan

  assert {
    condition = {
      for statement in [for text in local.work : jsondecode(text)] : statement.Sid => flatten([statement.Resource])
      } == {
      TrafficAndBaselineAreRead = ["arn:aws:s3:::churn-dev-capture-111122223333/churn/capture/churn-dev/*", "arn:aws:s3:::churn-dev-artifacts-111122223333/registry/churn/0a1b2c3d/*.json"]
      ReportsAreKept            = ["arn:aws:s3:::churn-dev-capture-111122223333/churn/monitor/churn-dev/*"]
      ObjectsAreListed          = ["arn:aws:s3:::churn-dev-artifacts-111122223333", "arn:aws:s3:::churn-dev-capture-111122223333"]
      ItTellsOfItself           = ["arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/churn-dev-monitor:*"]
      WhatFailsIsKept           = ["arn:aws:sqs:eu-west-1:111122223333:churn-dev-unmonitored"]
    }
    error_message = "no other objects, logs and queues"
  }
}

run "windows_of_a_day" {
  command = plan

  variables {
    monitoring = { schedule = "cron(30 1 * * ? *)", window_minutes = 1440, anomaly_band = 0 }
    retraining = { windows = 7, violated = 4 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["drift-windows"].period == 86400 && aws_cloudwatch_metric_alarm.this["drift-windows"].datapoints_to_alarm == 4 && aws_cloudwatch_metric_alarm.this["monitor-silent"].period == 86400
    error_message = "alarms must count in windows"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.anomaly) == 0
    error_message = "anomaly_band: 0 means no such alarms"
  }
}

run "a_hash_in_hex_is_refused" {
  command = plan

  variables {
    package = { bucket = "b", key = "k", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  }

  expect_failures = [var.package]
}

run "half_an_hour_is_refused" {
  command = plan

  variables {
    monitoring = { window_minutes = 30 }
  }

  expect_failures = [var.monitoring]
}

run "a_rate_is_refused" {
  command = plan

  variables {
    monitoring = { schedule = "rate(1 hour)" }
  }

  expect_failures = [var.monitoring]
}

run "an_hour_of_work_is_refused" {
  command = plan

  variables {
    monitoring = { timeout_seconds = 3600 }
  }

  expect_failures = [var.monitoring]
}

run "no_memory_is_refused" {
  command = plan

  variables {
    monitoring = { memory_mb = 128 }
  }

  expect_failures = [var.monitoring]
}

run "a_negative_band_is_refused" {
  command = plan

  variables {
    monitoring = { anomaly_band = -1 }
  }

  expect_failures = [var.monitoring]
}

run "more_violated_than_windows_is_refused" {
  command = plan

  variables {
    retraining = { windows = 3, violated = 4 }
  }

  expect_failures = [var.retraining]
}

run "more_than_a_week_is_refused" {
  command = plan

  variables {
    monitoring = { window_minutes = 1440 }
    retraining = { windows = 8, violated = 4 }
  }

  expect_failures = [var.retraining]
}

run "a_whole_bucket_is_refused" {
  command = plan

  variables {
    capture_uri  = "s3://churn-dev-capture-111122223333"
    baseline_uri = "s3://churn-dev-artifacts-111122223333/*"
    report_uri   = "churn/monitor"
  }

  expect_failures = [var.capture_uri, var.baseline_uri, var.report_uri]
}

run "a_long_name_is_refused" {
  command = plan

  variables {
    name = "a-name-that-leaves-the-role-of-its-schedule-no-room"
  }

  expect_failures = [var.name]
}
