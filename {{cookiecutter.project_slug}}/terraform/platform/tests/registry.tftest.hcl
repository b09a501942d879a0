mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  config_dir = "../tests/config"
}

run "record" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = aws_sagemaker_model_package_group.this.model_package_group_name == "churn"
    error_message = "the group is model_package_group of config/"
  }

  assert {
    condition = alltrue([
      for policy in [aws_sagemaker_model_package_group_policy.copiers[0].resource_policy, aws_ecr_repository_policy.copiers[0].policy] : alltrue([
        for statement in jsondecode(policy).Statement :
        statement.Effect == "Allow" && toset(statement.Principal.AWS) == toset(["arn:aws:iam::012345678901:root", "arn:aws:iam::333333333333:root"])
        && toset(statement.Condition.ArnEquals["aws:PrincipalArn"]) == toset(["arn:aws:iam::012345678901:role/churn/churn-qa-deploy", "arn:aws:iam::333333333333:role/churn/churn-prod-deploy"])
        && alltrue([for action in statement.Action : can(regex(":(Batch|Describe|Get|List)", action))])
      ])
    ])
    error_message = "the deploy roles of the other environments, and nobody else there, read versions and pull images"
  }

  assert {
    condition = alltrue([
      aws_ecr_repository.this[0].image_tag_mutability == "IMMUTABLE",
      aws_ecr_repository.this[0].image_scanning_configuration[0].scan_on_push,
      aws_ecr_repository.this[0].encryption_configuration[0].kms_key == module.key["artifacts"].arn,
    ])
    error_message = "images keep their tag, are scanned and encrypted"
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this[0].policy).rules[0].selection.tagStatus == "untagged"
    error_message = "only images that lost their tag expire: those of versions stay"
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
    condition     = aws_cloudwatch_metric_alarm.undelivered[0].threshold == 0 && aws_cloudwatch_metric_alarm.undelivered[0].alarm_actions == toset([aws_sns_topic.this["alarms"].arn])
    error_message = "the owner hears of what GitLab did not take"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_event_target.owner)) == toset(["PendingManualApproval", "Approved", "Rejected"]) && toset([for subscription in aws_sns_topic_subscription.owner : subscription.endpoint]) == toset(["owner@example.com"])
    error_message = "the owner hears of each version"
  }

  assert {
    condition = alltrue([
      for name, policy in aws_sns_topic_policy.this : anytrue([
        for statement in jsondecode(policy.policy).Statement : statement.Effect == "Deny" && statement.Principal == "*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
      ])
    ]) && alltrue([for topic in aws_sns_topic.this : topic.kms_master_key_id == module.key["logs"].arn])
    error_message = "topics are encrypted and refuse messages without TLS"
  }

  assert {
    condition = alltrue([
      for name, policy in aws_sns_topic_policy.this : alltrue([
        for statement in jsondecode(policy.policy).Statement : can(statement.Principal.Service) && (can(statement.Condition.StringEquals["aws:SourceAccount"]) || statement.Principal.Service == "events.amazonaws.com")
        if statement.Effect == "Allow"
      ])
    ])
    error_message = "a service publishes for this account alone, wherever it says for which"
  }

  assert {
    condition     = toset(keys(jsondecode(aws_ssm_parameter.platform.value))) == toset(keys(jsondecode(file("../tests/facts.json")))) && aws_ssm_parameter.platform.name == "/churn/dev/platform"
    error_message = "the facts are those that the Python code and terraform/serving read"
  }
}

run "copies" {
  variables {
    environment = "qa"
  }

  assert {
    condition = alltrue([
      length(aws_sagemaker_model_package_group_policy.copiers) == 0, length(aws_cloudwatch_event_rule.status) == 0,
      length(aws_cloudwatch_event_target.gitlab) == 0, length(aws_cloudwatch_event_target.owner) == 0, length(aws_sqs_queue.undelivered) == 0,
    ])
    error_message = "copies are decided on where they were made: nobody hears of them"
  }

  assert {
    condition     = length(aws_ecr_repository.this) == 0 && length(aws_ecr_repository_policy.copiers) == 0 && local.facts.image_repository_url == ""
    error_message = "a managed container needs no image repository"
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

  assert {
    condition     = length(aws_sagemaker_model_package_group_policy.copiers) == 1
    error_message = "prod, in another account, reads the registry of record"
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
