mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name    = "churn-dev-logs"
  purpose = "Logs of churn-dev"
  account = "012345678901"
}

run "plain" {
  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "the key must rotate, and its deletion must leave time to take it back"
  }

  assert {
    condition = jsondecode(aws_kms_key.this.policy).Statement == [{
      Sid       = "AccountDecides"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::012345678901:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
    error_message = "by default the account alone decides; its id keeps the leading zero"
  }

  assert {
    condition     = aws_kms_alias.this.name == "alias/churn-dev-logs" && aws_kms_alias.this.target_key_id == aws_kms_key.this.key_id
    error_message = "people find the key by its alias"
  }

  assert {
    condition     = output.arn == aws_kms_key.this.arn
    error_message = "the output is the key's ARN"
  }
}

run "services" {
  command = plan

  variables {
    services      = ["cloudwatch.amazonaws.com"]
    log_groups_of = "eu-west-1"
    events        = true
    deletion_days = 7
  }

  assert {
    condition = {
      for statement in jsondecode(aws_kms_key.this.policy).Statement :
      statement.Sid => [try(statement.Principal.Service, ""), jsonencode(try(statement.Condition, {}))]
      } == {
      AccountDecides    = ["", "{}"]
      ServiceCloudwatch = ["cloudwatch.amazonaws.com", "{\"StringEquals\":{\"aws:SourceAccount\":\"012345678901\"}}"]
      LogGroups         = ["logs.eu-west-1.amazonaws.com", "{\"ArnLike\":{\"kms:EncryptionContext:aws:logs:arn\":\"arn:aws:logs:eu-west-1:012345678901:log-group:*\"}}"]
      RulesSend         = ["events.amazonaws.com", "{}"]
    }
    error_message = "each service gets its own statement, for this account alone wherever it says for which"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_kms_key.this.policy).Statement :
      statement.Action != "kms:*" && !contains(statement.Action, "kms:*") if statement.Sid != "AccountDecides"
    ])
    error_message = "services use the key and do not administer it"
  }

  assert {
    condition     = aws_kms_key.this.deletion_window_in_days == 7
    error_message = "deletion_days counts"
  }
}

run "a_name_of_aws" {
  command = plan

  variables {
    name = "aws/churn"
  }

  expect_failures = [var.name]
}

run "a_short_account" {
  command = plan

  variables {
    account = "12345678901"
  }

  expect_failures = [var.account]
}

run "a_service_without_domain" {
  command = plan

  variables {
    services = ["cloudwatch"]
  }

  expect_failures = [var.services]
}

run "a_service_that_names_no_account" {
  command = plan

  variables {
    services = ["events.amazonaws.com"]
  }

  expect_failures = [var.services]
}

run "deleted_at_once" {
  command = plan

  variables {
    deletion_days = 1
  }

  expect_failures = [var.deletion_days]
}
