mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name       = "churn-dev-training"
  project    = "churn"
  purpose    = "Containers that train"
  service    = "sagemaker.amazonaws.com"
  account    = "012345678901"
  statements = ["{\"Sid\":\"DataIsRead\",\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::data/churn/*\"}"]
}

run "a_service" {
  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = ["sagemaker.amazonaws.com"] }
      Condition = { StringEquals = { "aws:SourceAccount" = "012345678901" } }
    }]
    error_message = "the service takes the role for the account alone"
  }

  assert {
    condition     = aws_iam_role.this.path == "/churn/" && aws_iam_role.this.permissions_boundary == null && aws_iam_role.this.max_session_duration == 3600
    error_message = "roles lie in the folder of the use case, and sessions end within the hour"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[*].Sid == ["DataIsRead"] && length(aws_iam_role_policy.ids) == 0
    error_message = "the policy holds the statements"
  }

  assert {
    condition     = output.arn == aws_iam_role.this.arn && output.name == "churn-dev-training"
    error_message = "the outputs name the role"
  }
}

run "a_service_that_says_for_no_account" {
  command = plan

  variables {
    service = "backup.amazonaws.com"
    account = null
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition == {}
    error_message = "a condition on what the service does not say would let nobody take the role"
  }
}

run "people" {
  command = plan

  variables {
    service              = null
    account              = null
    people               = ["arn:aws:iam::012345678901:role/analysts"]
    permissions_boundary = "arn:aws:iam::012345678901:policy/boundary"
    id_statements        = ["{\"Sid\":\"DataIsDecrypted\",\"Effect\":\"Allow\",\"Action\":\"kms:Decrypt\",\"Resource\":\"arn:aws:kms:eu-west-1:012345678901:key/1\"}"]
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { AWS = ["arn:aws:iam::012345678901:role/analysts"] }
    error_message = "those who are named take the role, and nobody else"
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == "arn:aws:iam::012345678901:policy/boundary"
    error_message = "the boundary bounds the role"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.ids[0].policy).Statement[*].Sid == ["DataIsDecrypted"]
    error_message = "statements on ids have a policy of their own"
  }
}

run "everyone" {
  command = plan

  variables {
    service = null
    people  = ["arn:aws:iam::012345678901:role/*"]
  }

  expect_failures = [var.people]
}

run "for_nobody" {
  command = plan

  variables {
    service = null
  }

  expect_failures = [var.people]
}

run "for_both" {
  command = plan

  variables {
    people = ["arn:aws:iam::012345678901:role/analysts"]
  }

  expect_failures = [var.people]
}

run "a_long_name" {
  command = plan

  variables {
    name = "churn-dev-a-role-with-a-name-that-is-longer-than-any-that-iam-takes"
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

run "a_service_for_any_account" {
  command = plan

  variables {
    account = null
  }

  expect_failures = [var.account]
}

run "no_statements" {
  command = plan

  variables {
    statements = []
  }

  expect_failures = [var.statements]
}

run "statements_without_effect" {
  command = plan

  variables {
    statements    = ["{}"]
    id_statements = ["s3:GetObject"]
  }

  expect_failures = [var.statements, var.id_statements]
}
