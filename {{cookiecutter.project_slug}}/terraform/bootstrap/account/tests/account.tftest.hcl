# Plans only: what is applied here may not be destroyed, so a test could not clean up after itself.
mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  config_dir = "../../tests/config"
}

run "an_empty_account" {
  command = plan

  variables {
    environment = "dev"
  }

  assert {
    condition     = output.state_bucket == "terraform-state-111122223333-eu-west-1" && module.state_bucket[0].name == output.state_bucket
    error_message = "the bucket of the states has the name that Terraform is given as backend"
  }

  assert {
    condition     = terraform_data.states_are_kept[0].triggers_replace[0] == output.state_bucket && terraform_data.states_are_kept[0].triggers_replace[1] == module.state_key[0].arn
    error_message = "bucket and key of the states can neither be destroyed nor replaced"
  }

  assert {
    condition     = module.log_bucket[0].name == "account-logs-111122223333-eu-west-1" && local.log_bucket.name == module.log_bucket[0].name
    error_message = "who reads a state is logged"
  }

  assert {
    condition     = length(aws_dynamodb_table.locks) == 0 && length(module.lock_key) == 0 && output.lock_table == null
    error_message = "a lock file needs no table"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.gitlab[0].url == "https://gitlab.com" && aws_iam_openid_connect_provider.gitlab[0].client_id_list == toset(["https://gitlab.com"])
    error_message = "tokens of GitLab are trusted for one audience alone"
  }
}

run "everything_exists" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/existing/config"
  }

  assert {
    condition     = output.state_bucket == "company-states" && output.lock_table == "company-locks" && output.oidc_provider_arn == null
    error_message = "what exists is named"
  }

  assert {
    condition = length(concat(
      module.state_bucket, module.state_key, module.log_bucket, module.lock_key, terraform_data.states_are_kept, aws_dynamodb_table.locks, aws_iam_openid_connect_provider.gitlab,
    )) == 0
    error_message = "what exists is not made again"
  }
}

run "a_table_and_a_bucket_of_logs_that_exists" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/existing/config"
  }

  assert {
    condition     = aws_dynamodb_table.locks[0].name == "our-locks" && aws_dynamodb_table.locks[0].hash_key == "LockID" && aws_dynamodb_table.locks[0].billing_mode == "PAY_PER_REQUEST"
    error_message = "Terraform looks for locks by LockID, in a table that costs by the request"
  }

  assert {
    condition     = aws_dynamodb_table.locks[0].deletion_protection_enabled && aws_dynamodb_table.locks[0].point_in_time_recovery[0].enabled
    error_message = "the table is not deleted by mistake, and can be restored"
  }

  assert {
    condition     = aws_dynamodb_table.locks[0].server_side_encryption[0].kms_key_arn == module.lock_key[0].arn
    error_message = "the table is encrypted with a key of the account"
  }

  assert {
    condition     = local.log_bucket.name == "company-logs" && length(module.log_bucket) == 0
    error_message = "access logs go to the bucket that exists"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.gitlab) == 0 && output.oidc_provider_arn == null
    error_message = "jobs that are known by the runner's role need no token"
  }
}

run "no_logs_and_an_audience" {
  command = plan

  variables {
    environment = "prod"
    config_dir  = "./tests/existing/config"
  }

  assert {
    condition     = local.log_bucket == null && length(module.log_bucket) == 0
    error_message = "log_bucket: none leaves the logs out"
  }

  assert {
    condition     = length(aws_dynamodb_table.locks) == 0 && output.lock_table == "company-locks"
    error_message = "a table that exists is not made again"
  }

  assert {
    condition     = aws_iam_openid_connect_provider.gitlab[0].url == "https://gitlab.com" && aws_iam_openid_connect_provider.gitlab[0].client_id_list == toset(["aws.gitlab.example.com"])
    error_message = "the audience is that of the settings; AWS knows an issuer without a slash at its end"
  }
}

run "nothing" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/none/config"
  }

  assert {
    condition = length(concat(
      module.state_bucket, module.state_key, module.log_bucket, module.lock_key, terraform_data.states_are_kept, aws_dynamodb_table.locks, aws_iam_openid_connect_provider.gitlab,
    )) == 0
    error_message = "none makes nothing"
  }
}

run "gitlab_without_tls" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/none/config"
  }

  expect_failures = [aws_iam_openid_connect_provider.gitlab]
}
