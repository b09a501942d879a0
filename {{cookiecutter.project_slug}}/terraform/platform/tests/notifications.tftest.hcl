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

run "topics" {
  variables {
    environment = "dev"
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
}
