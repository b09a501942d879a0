mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name          = "churn-dev"
  account       = "111122223333"
  region        = "eu-west-1"
  environment   = "dev"
  mode          = "realtime"
  endpoint_name = "churn-dev"
  topic_arn     = "arn:aws:sns:eu-west-1:111122223333:churn-dev-alarms"

  capture = {
    bucket     = "churn-dev-capture-111122223333"
    prefix     = "churn/capture/churn-dev/"
    percentage = 50
  }
}

run "realtime" {
  assert {
    condition = toset(output.names) == toset([
      for name in ["errors-4xx", "errors-5xx", "latency-p90", "latency-p99", "cpu", "memory", "disk", "capture-stopped"] : "churn-dev-${name}"
    ])
    error_message = "each metric of a real-time endpoint must have its alarm"
  }

  assert {
    condition     = alltrue([for name in output.names : strcontains(aws_cloudwatch_composite_alarm.this.alarm_rule, "ALARM(\"${name}\")")])
    error_message = "the composite alarm must know every alarm"
  }

  assert {
    condition     = toset(aws_cloudwatch_composite_alarm.this.alarm_actions) == toset([var.topic_arn]) && toset(aws_cloudwatch_composite_alarm.this.ok_actions) == toset([var.topic_arn])
    error_message = "the composite alarm must notify"
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.this), aws_cloudwatch_metric_alarm.capture_stopped) : length(coalesce(alarm.alarm_actions, [])) == 0])
    error_message = "nothing else may notify: each trouble is one message"
  }

  assert {
    condition     = aws_s3_bucket_metric.capture[0].filter[0].prefix == "churn/capture/churn-dev/" && anytrue([for query in aws_cloudwatch_metric_alarm.capture_stopped[0].metric_query : strcontains(coalesce(query.expression, "-"), "* 50 / 100 >= 20")])
    error_message = "captures must be counted below the endpoint's prefix, and held against the share that is captured"
  }

  assert {
    condition     = length([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget if widget.type == "metric"]) == 5
    error_message = "a real-time endpoint has five graphs"
  }
}

run "no_capture" {
  command = plan

  variables {
    capture = null
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.capture_stopped) == 0 && length(aws_s3_bucket_metric.capture) == 0
    error_message = "without capture nothing can stop"
  }
}

run "nobody_asks" {
  command = plan

  variables {
    thresholds = { no_invocations_hours = 12 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["no-invocations"].evaluation_periods == 12 && aws_cloudwatch_metric_alarm.this["no-invocations"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["no-invocations"].comparison_operator == "LessThanThreshold"
    error_message = "twelve hours without a request must raise the alarm, and SageMaker sends nothing then"
  }
}

run "serverless" {
  command = plan

  variables {
    mode    = "serverless"
    capture = null
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(["memory"])
    error_message = "serverless has neither processors nor disks to watch"
  }
}

run "async" {
  command = plan

  variables {
    mode       = "async"
    capture    = null
    async      = { max_queue_hours = 2 }
    thresholds = { no_invocations_hours = 1 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["backlog-age"].threshold == 7200 && length(aws_cloudwatch_metric_alarm.this["backlog-age"].dimensions) == 1
    error_message = "two hours are 7200 seconds, of the endpoint as a whole"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["no-invocations"].metric_name == "InvocationsProcessed"
    error_message = "SageMaker publishes no Invocations of asynchronous endpoints"
  }
}

run "batch" {
  command = plan

  variables {
    mode          = "batch"
    endpoint_name = null
    capture       = null
    batch = {
      state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:churn-dev-batch"
      schedule_group    = "churn-dev"
    }
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(["runs-failed", "runs-timed-out", "runs-not-started"]) && length(module.requests) == 0
    error_message = "batch has runs, not requests"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["runs-failed"].threshold == 0 && aws_cloudwatch_metric_alarm.this["runs-failed"].dimensions.StateMachineArn == var.batch.state_machine_arn
    error_message = "a single failed run must raise the alarm"
  }
}

run "an_unknown_mode_is_refused" {
  command = plan

  variables {
    mode    = "edge"
    capture = null
  }

  expect_failures = [var.mode]
}

run "batch_with_an_endpoint_is_refused" {
  command = plan

  variables {
    mode    = "batch"
    capture = null
  }

  expect_failures = [var.mode]
}

run "captured_serverless_is_refused" {
  command = plan

  variables {
    mode = "serverless"
  }

  expect_failures = [var.capture]
}

run "a_queue_of_a_day_is_refused" {
  command = plan

  variables {
    async = { max_queue_hours = 24 }
  }

  expect_failures = [var.async]
}

run "two_days_without_a_request_is_refused" {
  command = plan

  variables {
    thresholds = { no_invocations_hours = 48 }
  }

  expect_failures = [var.thresholds]
}
