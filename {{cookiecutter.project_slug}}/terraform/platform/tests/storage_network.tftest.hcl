mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  config_dir = "../tests/config"
}

run "dev" {
  variables {
    environment = "dev"
  }

  assert {
    condition = { for kind, bucket in merge(module.bucket, { logs = module.log_bucket }) : kind => bucket.name } == {
      artifacts = "churn-dev-artifacts-111122223333"
      data      = "churn-dev-data-111122223333"
      capture   = "churn-dev-capture-111122223333"
      logs      = "churn-dev-logs-111122223333"
    }
    error_message = "bucket names are global: project, environment and account make them unique"
  }

  assert {
    condition     = toset(keys(module.key)) == toset(["artifacts", "data", "volumes", "capture", "logs"])
    error_message = "there must be a key for each purpose"
  }

  assert {
    condition     = length(module.network.subnet_ids) == 2 && length(module.network.security_group_ids) == 1
    error_message = "there must be a network with a subnet in two zones"
  }
}

run "another_account" {
  command = plan

  variables {
    environment = "qa"
  }

  assert {
    condition     = module.bucket["artifacts"].name == "churn-qa-artifacts-012345678901"
    error_message = "an account id keeps its leading zero"
  }
}
