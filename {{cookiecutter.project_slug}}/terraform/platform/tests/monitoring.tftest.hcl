mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  config_dir = "../tests/config"
}

run "where_models_are_trained" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = { for asker, rule in aws_cloudwatch_event_rule.retrain : asker => rule.event_bus_name } == { drift = "default", drift-elsewhere = "churn-dev-drift" }
    error_message = "by default drift asks for a training, here and in other accounts"
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.retrain["drift"].event_pattern) == {
      source      = ["aws.cloudwatch"]
      detail-type = ["CloudWatch Alarm State Change"]
      account     = ["111122223333", "333333333333", "012345678901"]
      detail      = { alarmName = ["churn-dev-drift", "churn-prod-drift", "churn-qa-drift"], state = { value = ["ALARM"] } }
    }
    error_message = "only alarms on drift of this use case, in its accounts, as they go off"
  }

  assert {
    condition = {
      for asker, target in aws_cloudwatch_event_target.retrain : asker => jsondecode(one(target.input_transformer).input_template)
    } == { for asker in ["drift", "drift-elsewhere"] : asker => { ref = "main", inputs = { registry_event = "retrain", reason = "drift <alarm> <time>" } } }
    error_message = "GitLab is told that a training is asked for, and why"
  }

  assert {
    condition = alltrue([for target in aws_cloudwatch_event_target.retrain :
      target.arn == aws_cloudwatch_event_api_destination.gitlab[0].arn && one(target.dead_letter_config).arn == aws_sqs_queue.undelivered[0].arn && one(target.retry_policy).maximum_event_age_in_seconds == 3600
    ])
    error_message = "by the same way as decisions, and what GitLab did not take is kept"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_cloudwatch_event_bus_policy.drift[0].policy).Statement : statement.Sid => [statement.Principal.AWS, statement.Condition.ArnEquals["aws:PrincipalArn"]]
    } == { EnvironmentsTell = [["arn:aws:iam::333333333333:root", "arn:aws:iam::012345678901:root"], ["arn:aws:iam::333333333333:role/churn/churn-prod-drift", "arn:aws:iam::012345678901:role/churn/churn-qa-drift"]] }
    error_message = "only the roles of the other environments may tell"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.drift) == 0 && length(aws_s3_bucket_notification.data) == 0
    error_message = "nothing is forwarded from here, and new data is not listened to"
  }
}

run "elsewhere" {
  variables {
    environment = "prod"
  }

  assert {
    condition     = aws_cloudwatch_event_target.drift[0].arn == "arn:aws:events:eu-west-1:111122223333:event-bus/churn-dev-drift" && jsondecode(aws_cloudwatch_event_rule.drift[0].event_pattern).detail.alarmName == ["churn-prod-drift"]
    error_message = "drift in prod is told where models are trained"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.retrain) == 0 && length(aws_cloudwatch_event_bus.drift) == 0
    error_message = "nothing here calls GitLab"
  }

  assert {
    condition     = one(aws_cloudwatch_event_target.drift[0].dead_letter_config).arn == aws_sqs_queue.untold[0].arn && aws_sqs_queue.untold[0].kms_master_key_id == module.key["logs"].arn && aws_cloudwatch_metric_alarm.untold[0].threshold == 0
    error_message = "what was not told is kept, encrypted, and the owner hears of it"
  }
}

run "all_asks" {
  command = plan

  variables {
    config_dir  = "../tests/switches"
    environment = "dev"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.retrain)) == toset(["drift", "drift-elsewhere", "data", "schedule"]) && aws_s3_bucket_notification.data[0].eventbridge
    error_message = "new data and a schedule ask too, by setting"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.retrain["data"].event_pattern).detail == { bucket = { name = ["churn-dev-data-111122223333"] }, object = { key = [{ prefix = "churn/data/" }] } }
    error_message = "only data of this use case"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.retrain["schedule"].schedule_expression == "cron(0 3 1 * ? *)" && { for asker in ["data", "schedule"] : asker => jsondecode(one(aws_cloudwatch_event_target.retrain[asker].input_transformer).input_template).inputs.reason } == { data = "data <time>", schedule = "schedule <time>" }
    error_message = "the reason says what asked, and when; nothing that others have written"
  }
}

run "poll" {
  command = plan

  variables {
    config_dir  = "../tests/switches"
    environment = "qa"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.retrain) == 0 && length(aws_cloudwatch_event_rule.drift) == 0 && length(aws_cloudwatch_event_bus.drift) == 0
    error_message = "with approval_trigger: poll, nothing calls GitLab"
  }
}
