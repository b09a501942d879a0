mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name       = "churn-dev"
  dimensions = { EndpointName = "churn-dev", VariantName = "AllTraffic" }
  thresholds = {}
}

run "errors_and_latency" {
  assert {
    condition     = toset(output.names) == toset(["churn-dev-errors-4xx", "churn-dev-errors-5xx", "churn-dev-latency-p90", "churn-dev-latency-p99"])
    error_message = "there must be an alarm for each kind of error and each percentile"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.latency["p90"].threshold == 500000 && aws_cloudwatch_metric_alarm.latency["p90"].extended_statistic == "p90"
    error_message = "500 ms are 500000 microseconds"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.latency["p99"].threshold == 2000000
    error_message = "2000 ms are 2000000 microseconds"
  }

  assert {
    condition = anytrue([
      for query in aws_cloudwatch_metric_alarm.errors["errors-5xx"].metric_query :
      try(query.metric[0].metric_name == "Invocation5XXErrors" && query.metric[0].stat == "Average", false)
    ])
    error_message = "the average of 1 and 0 is the share of errors"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.errors : alarm.threshold == 5 && length(coalesce(alarm.alarm_actions, [])) == 0])
    error_message = "the threshold is in percent, and nobody is notified from here"
  }
}

run "other_thresholds" {
  variables {
    thresholds = { errors_percent = 1, latency_p90_ms = 20, latency_p99_ms = 20, period_seconds = 120, evaluation_periods = 2 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.latency["p99"].threshold == 20000 && aws_cloudwatch_metric_alarm.latency["p99"].period == 120
    error_message = "thresholds and periods must be those given"
  }
}

run "a_missing_dimension_is_refused" {
  command = plan

  variables {
    dimensions = { EndpointName = "churn-dev" }
  }

  expect_failures = [var.dimensions]
}

run "half_a_minute_is_refused" {
  command = plan

  variables {
    thresholds = { period_seconds = 90 }
  }

  expect_failures = [var.thresholds]
}

run "more_than_a_day_is_refused" {
  command = plan

  variables {
    thresholds = { period_seconds = 3600, evaluation_periods = 25 }
  }

  expect_failures = [var.thresholds]
}

run "percentiles_in_the_wrong_order_are_refused" {
  command = plan

  variables {
    thresholds = { latency_p90_ms = 3000 }
  }

  expect_failures = [var.thresholds]
}
