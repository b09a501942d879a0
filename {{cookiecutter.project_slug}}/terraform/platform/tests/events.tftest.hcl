mock_provider "aws" {
  source = "../tests/mocks"
}

# Keys that can be told apart.
override_resource {
  target = module.key["logs"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/logs" }
}

variables {
  config_dir = "../tests/config"
}

run "event" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = { for status, rule in aws_cloudwatch_event_rule.status : status => jsondecode(rule.event_pattern).detail } == { for status in ["PendingManualApproval", "Approved", "Rejected"] : status => { ModelPackageGroupName = ["churn"], ModelApprovalStatus = [status] } }
    error_message = "there is a rule for each status, of this group alone"
  }

  assert {
    condition     = aws_cloudwatch_event_api_destination.gitlab[0].invocation_endpoint == "https://gitlab.com/api/v4/projects/17/trigger/pipeline" && aws_cloudwatch_event_api_destination.gitlab[0].http_method == "POST"
    error_message = "decisions start a pipeline of the use case's project"
  }

  assert {
    condition = {
      for status, target in aws_cloudwatch_event_target.gitlab : status => jsondecode(one(target.input_transformer).input_template)
      } == {
      for status, told in { PendingManualApproval = "pending", Approved = "approved", Rejected = "rejected" } :
      status => { ref = "main", inputs = { registry_event = told, model_package_arn = "<arn>" } }
    }
    error_message = "GitLab is told what happened to which version"
  }

  assert {
    condition = alltrue([
      for target in aws_cloudwatch_event_target.gitlab : one(target.dead_letter_config).arn == aws_sqs_queue.undelivered[0].arn
    ]) && aws_sqs_queue.undelivered[0].kms_master_key_id == module.key["logs"].arn
    error_message = "what GitLab did not take is kept, encrypted"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_sqs_queue_policy.undelivered[0].policy).Statement : statement.Sid => jsonencode([statement.Effect, try(statement.Condition.ArnLike["aws:SourceArn"], statement.Condition)])
      } == {
      OnlyTls   = "[\"Deny\",{\"Bool\":{\"aws:SecureTransport\":\"false\"}}]"
      RulesSend = "[\"Allow\",[\"arn:aws:events:eu-west-1:111122223333:rule/churn-dev-version-*\",\"arn:aws:events:eu-west-1:111122223333:rule/churn-dev-*retrain-*\"]]"
    }
    error_message = "only these rules send to the queue, and only by TLS"
  }

  assert {
    condition = alltrue([
      for secret in one(one(aws_cloudwatch_event_connection.gitlab[0].auth_parameters).invocation_http_parameters).body : secret.key == "token" && secret.value == "put in after the first apply"
    ])
    error_message = "the token of the trigger must not be known to Terraform"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.undelivered[0].threshold == 0 && aws_cloudwatch_metric_alarm.undelivered[0].alarm_actions == toset([aws_sns_topic.this["alarms"].arn])
    error_message = "the owner hears of what GitLab did not take"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_event_target.owner)) == toset(["PendingManualApproval", "Approved", "Rejected"]) && toset([for subscription in aws_sns_topic_subscription.owner : subscription.endpoint]) == toset(["owner@example.com"])
    error_message = "the owner hears of each version"
  }
}

run "a_copy" {
  command = plan

  variables {
    environment = "qa"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.status) == 0 && length(aws_cloudwatch_event_api_destination.gitlab) == 0 && length(aws_sqs_queue.undelivered) == 0
    error_message = "versions are decided on where they were made: of copies nobody hears"
  }
}

run "poll" {
  variables {
    config_dir  = "../tests/switches"
    environment = "qa"
  }

  assert {
    condition = alltrue([
      length(aws_cloudwatch_event_api_destination.gitlab) == 0, length(aws_cloudwatch_event_connection.gitlab) == 0, length(aws_cloudwatch_event_target.gitlab) == 0,
      length(module.events_role) == 0, length(aws_sqs_queue.undelivered) == 0, length(aws_cloudwatch_metric_alarm.undelivered) == 0,
    ])
    error_message = "with approval_trigger: poll, nothing calls GitLab"
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.owner) == 3
    error_message = "the owner hears of each version all the same"
  }
}

run "project_not_known_yet" {
  command = plan

  variables {
    config_dir  = "../tests/switches"
    environment = "prod"
  }

  expect_failures = [check.gitlab_hears_of_decisions]
}
