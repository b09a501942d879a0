mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name           = "churn-dev"
  environment    = "dev"
  mode           = "realtime"
  endpoint_name  = "churn-dev"
  variant_name   = "AllTraffic"
  instance_type  = "ml.m5.large"
  instance_count = 1
  scaling        = {}
}

run "by_requests" {
  assert {
    condition     = output.policy_names == ["churn-dev-load"] && aws_appautoscaling_target.this[0].resource_id == "endpoint/churn-dev/variant/AllTraffic"
    error_message = "the endpoint's variant must be scaled by load"
  }

  assert {
    condition     = aws_appautoscaling_policy.load[0].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "SageMakerVariantInvocationsPerInstance" && aws_appautoscaling_policy.load[0].target_tracking_scaling_policy_configuration[0].target_value == 500
    error_message = "500 requests per instance and minute are aimed at"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.backlog_without_instance) == 0
    error_message = "a real-time endpoint is never without an instance"
  }
}

run "new_bounds_are_a_new_target" {
  command = plan

  variables {
    scaling = { maximum = 3 }
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].max_capacity == 3
    error_message = "bounds that schedules may have moved must still follow the settings"
  }
}

run "equal_bounds_scale_nothing" {
  variables {
    scaling = { minimum = 1, maximum = 1 }
  }

  assert {
    condition     = length(aws_appautoscaling_target.this) == 0 && length(output.policy_names) == 0
    error_message = "equal bounds leave nothing to scale"
  }
}

run "by_schedule_alone" {
  command = plan

  variables {
    scaling = {
      minimum   = 1
      maximum   = 1
      schedules = { days = { cron = "cron(0 6 ? * MON-FRI *)", minimum = 2, maximum = 2 } }
    }
  }

  assert {
    condition     = aws_appautoscaling_scheduled_action.this["days"].scalable_target_action[0].min_capacity == "2" && aws_appautoscaling_scheduled_action.this["days"].timezone == "UTC" && length(aws_appautoscaling_policy.load) == 0
    error_message = "the schedule must set the bounds, in UTC"
  }
}

run "async_by_queue" {
  command = plan

  variables {
    mode  = "async"
    async = { max_concurrent_invocations = 8 }
  }

  assert {
    condition     = aws_appautoscaling_policy.load[0].target_tracking_scaling_policy_configuration[0].customized_metric_specification[0].metric_name == "ApproximateBacklogSizePerInstance" && aws_appautoscaling_policy.load[0].target_tracking_scaling_policy_configuration[0].target_value == 8
    error_message = "as many requests per instance may wait as it works on at a time"
  }

  assert {
    condition     = length(aws_appautoscaling_policy.first_instance) == 0
    error_message = "with a minimum of 1 nothing has to be started from none"
  }
}

run "async_from_none" {
  variables {
    mode    = "async"
    scaling = { minimum = 0 }
  }

  assert {
    condition     = output.policy_names == ["churn-dev-load", "churn-dev-first-instance"] && aws_appautoscaling_target.this[0].min_capacity == 0
    error_message = "both policies are needed to go to none and back"
  }

  assert {
    condition     = toset(aws_cloudwatch_metric_alarm.backlog_without_instance[0].alarm_actions) == toset([aws_appautoscaling_policy.first_instance[0].arn]) && aws_cloudwatch_metric_alarm.backlog_without_instance[0].metric_name == "HasBacklogWithoutCapacity"
    error_message = "requests that wait without an instance must start one"
  }
}

run "async_to_none_at_night" {
  command = plan

  variables {
    mode = "async"
    scaling = {
      schedules = { nights = { cron = "cron(0 20 * * ? *)", minimum = 0, maximum = 1 } }
    }
  }

  assert {
    condition     = length(aws_appautoscaling_policy.first_instance) == 1
    error_message = "a schedule can take the last instance, too"
  }
}

run "an_unknown_mode_is_refused" {
  command = plan

  variables {
    mode = "serverless"
  }

  expect_failures = [var.mode]
}

run "minimum_above_maximum_is_refused" {
  command = plan

  variables {
    scaling        = { minimum = 3, maximum = 2 }
    instance_count = 3
  }

  expect_failures = [var.scaling]
}

run "a_schedule_upside_down_is_refused" {
  command = plan

  variables {
    scaling = { schedules = { days = { cron = "cron(0 6 ? * MON-FRI *)", minimum = 3, maximum = 2 } } }
  }

  expect_failures = [var.scaling]
}

run "none_outside_async_is_refused" {
  command = plan

  variables {
    scaling = { minimum = 0 }
  }

  expect_failures = [var.scaling]
}

run "a_maximum_of_none_is_refused" {
  command = plan

  variables {
    mode    = "async"
    scaling = { schedules = { nights = { cron = "cron(0 20 * * ? *)", minimum = 0, maximum = 0 } } }
  }

  expect_failures = [var.scaling]
}

run "one_instance_in_prod_is_refused" {
  command = plan

  variables {
    environment = "prod"
  }

  expect_failures = [var.scaling]
}

run "five_fields_is_refused" {
  command = plan

  variables {
    scaling = { schedules = { days = { cron = "cron(0 6 * * 1-5)", minimum = 1, maximum = 2 } } }
  }

  expect_failures = [var.scaling]
}

run "no_requests_per_instance_is_refused" {
  command = plan

  variables {
    scaling = { invocations_per_instance = 0 }
  }

  expect_failures = [var.scaling]
}

run "a_count_outside_the_bounds_is_refused" {
  command = plan

  variables {
    instance_count = 3
  }

  expect_failures = [var.instance_count]
}
