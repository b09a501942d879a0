variables {
  environment = "dev"
  config_dir  = "./tests/config"
  root        = "platform"
}

run "merged" {
  command = plan

  assert {
    condition     = output.config.budget.monthly_usd == 200 && output.config.aws_region == "eu-central-1"
    error_message = "config/<environment>.yaml must win over config/defaults.yaml"
  }

  assert {
    condition     = output.config.serving == { port = 9090, max_payload_mb = 6 }
    error_message = "what config/<environment>.yaml leaves out must stay, inside a mapping too"
  }

  assert {
    condition     = output.config.owner_email == "owner@example.com" && output.config.retention.data_days == 365
    error_message = "a key without a value leaves that of config/defaults.yaml"
  }

  assert {
    condition     = output.config.quality == { auc = { minimum = 0.9 } }
    error_message = "a section that only the environment has must count"
  }
}

run "organisation" {
  command = plan

  assert {
    condition     = output.config.network == { nat = false, zones = ["a", "b"] } && !can(output.config.locked)
    error_message = "config/organisation.yaml must win over config/defaults.yaml, and what an environment states over both"
  }
}

run "names" {
  command = plan

  assert {
    condition     = output.name == "churn-dev"
    error_message = "names begin with project and environment"
  }

  assert {
    condition = output.tags == {
      CostCentre  = "4711"
      Project     = "churn"
      Environment = "dev"
      Owner       = "owner@example.com"
      ManagedBy   = "terraform/platform"
    }
    error_message = "tags are those of the settings and who, where and what for; these cannot be overwritten"
  }

  assert {
    condition     = output.accounts == { dev = "111122223333", qa = "012345678901" }
    error_message = "accounts keep their leading zeros; an environment without one is left out"
  }
}

run "unknown_environment" {
  command = plan

  variables {
    environment = "local"
  }

  expect_failures = [var.environment]
}

run "blank_account" {
  command = plan

  variables {
    environment = "prod"
  }

  expect_failures = [var.environment]
}

run "groups" {
  command = plan

  assert {
    condition     = output.config.model_package_group == "churn-dev" && output.neighbours == []
    error_message = "a registry is named after its environment"
  }

  assert {
    condition     = output.groups == { dev = { models = "churn-dev", features = "" }, qa = { models = "churn-qa", features = "" }, prod = { models = "churn-prod", features = "" } }
    error_message = "the registries of the other environments are known"
  }
}

run "one_account" {
  command = plan

  variables {
    config_dir = "./tests/shared"
  }

  assert {
    condition     = output.neighbours == ["qa"]
    error_message = "environments in the same account are neighbours"
  }

  assert {
    condition     = output.groups == { dev = { models = "churn-dev", features = "customers" }, qa = { models = "tested", features = "customers" }, prod = { models = "churn-prod", features = "buyers" } }
    error_message = "what an environment states wins; a blank is no name"
  }
}
