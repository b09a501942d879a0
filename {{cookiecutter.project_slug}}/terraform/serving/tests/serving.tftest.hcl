mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  environment       = "dev"
  config_dir        = "../tests/config"
  model_package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/3"
  platform          = jsondecode(file("../tests/facts.json"))
}

run "nothing_before_the_first_version" {
  variables {
    model_package_arn = null
  }

  assert {
    condition     = length(module.model) == 0 && length(module.endpoint) == 0 && length(module.batch) == 0 && length(module.scaling) == 0 && length(module.alarms) == 0
    error_message = "a cold start makes nothing"
  }

  assert {
    condition     = alltrue([for value in [output.mode, output.model_package_arn, output.model_name, output.endpoint_name, output.endpoint_config_name, output.state_machine_arn] : value == null])
    error_message = "a cold start has nothing to tell"
  }
}

run "blank_is_no_version_either" {
  command = plan

  variables {
    model_package_arn = ""
  }

  assert {
    condition     = length(module.model) == 0 && length(module.alarms) == 0 && output.mode == null
    error_message = "a blank ARN is a cold start"
  }
}

run "realtime" {
  assert {
    condition     = output.mode == "realtime" && output.endpoint_name == "churn-dev" && output.state_machine_arn == null && output.model_package_arn == var.model_package_arn
    error_message = "the outputs must tell of the endpoint"
  }

  assert {
    condition     = startswith(output.model_name, "churn-dev-v3-") && output.endpoint_config_name == module.endpoint[0].config_name
    error_message = "the outputs must tell of model and config"
  }

  assert {
    condition     = contains(module.alarms[0].names, "churn-dev-capture-stopped") && length(module.scaling[0].policy_names) == 1 && length(module.shadow_model) == 0
    error_message = "a real-time endpoint captures and scales, and has no shadow by itself"
  }
}

run "prod_of_the_defaults" {
  variables {
    environment       = "prod"
    model_package_arn = "arn:aws:sagemaker:eu-west-1:333333333333:model-package/churn/3"
    platform          = jsondecode(replace(file("../tests/facts.json"), "111122223333", "333333333333"))
  }

  assert {
    condition     = output.endpoint_name == "churn-prod"
    error_message = "the settings that prod begins with must do"
  }
}

run "async" {
  variables {
    config_dir = "tests/config"
  }

  assert {
    condition     = output.mode == "async" && output.endpoint_name == "churn-dev" && length(module.scaling[0].policy_names) == 2 && contains(module.alarms[0].names, "churn-dev-backlog-age")
    error_message = "an asynchronous endpoint goes to none and back, and is watched"
  }
}

run "serverless" {
  variables {
    environment = "qa"
    config_dir  = "tests/config"
  }

  assert {
    condition     = output.mode == "serverless" && length(module.scaling) == 0
    error_message = "serverless scales by itself"
  }
}

run "batch" {
  variables {
    environment = "prod"
    config_dir  = "tests/config"
  }

  assert {
    condition     = output.mode == "batch" && output.endpoint_name == null && output.endpoint_config_name == null && output.state_machine_arn != null && contains(module.alarms[0].names, "churn-prod-runs-failed")
    error_message = "batch has a state machine in place of an endpoint"
  }

  assert {
    condition     = module.volume_key.kms_key_arn == null
    error_message = "m5d has disks of its own: batch must go by its own instance type"
  }
}

run "shadow" {
  command = plan

  variables {
    config_dir = "tests/config/more"
  }

  assert {
    condition     = length(module.shadow_model) == 1 && module.volume_key.kms_key_arn == null
    error_message = "the shadow needs a model, and g5 no key"
  }
}

run "an_unknown_mode_is_refused" {
  command = plan

  variables {
    environment       = "qa"
    config_dir        = "tests/config/more"
    model_package_arn = null
  }

  expect_failures = [output.mode]
}

run "a_shadow_of_a_queue_is_refused" {
  command = plan

  variables {
    environment       = "prod"
    config_dir        = "tests/config/more"
    model_package_arn = null
  }

  expect_failures = [output.mode]
}

run "facts_of_another_account_are_refused" {
  command = plan

  variables {
    platform = jsondecode(replace(file("../tests/facts.json"), "111122223333", "999988887777"))
  }

  expect_failures = [var.platform]
}

run "facts_of_another_region_are_refused" {
  command = plan

  variables {
    platform = jsondecode(replace(file("../tests/facts.json"), ":eu-west-1:", ":us-east-1:"))
  }

  expect_failures = [var.platform]
}

run "facts_of_another_group_are_refused" {
  command = plan

  variables {
    platform = merge(jsondecode(file("../tests/facts.json")), { model_package_group = "fraud" })
  }

  expect_failures = [var.platform]
}

run "facts_without_an_arn_are_refused" {
  command = plan

  variables {
    platform = merge(jsondecode(file("../tests/facts.json")), { log_kms_key_arn = "alias/logs" })
  }

  expect_failures = [var.platform]
}
