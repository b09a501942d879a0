mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  environment       = "dev"
  config_dir        = "../tests/config"
  model_package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/3"
  platform          = jsondecode(file("../tests/facts.json"))
  baseline_uri      = "s3://churn-dev-artifacts-111122223333/registry/churn/0a1b2c3d"
  monitor_package   = { bucket = "churn-dev-artifacts-111122223333", key = "churn/monitor/0a1b2c3d/monitor.zip" }
}

run "realtime" {
  assert {
    condition     = output.monitor_function_name == "churn-dev-monitor"
    error_message = "captured requests of a real-time endpoint must be looked at"
  }

  assert {
    condition     = toset(module.monitor[0].alarms) == toset([for name in ["monitor-failed", "monitor-errors", "monitor-silent", "unmonitored", "unusual-distribution", "unusual-volume"] : "churn-dev-${name}"]) && module.monitor[0].drift_alarm == "churn-dev-drift"
    error_message = "the monitor itself must be watched"
  }
}

run "nothing_before_the_first_version" {
  command = plan

  variables {
    model_package_arn = null
  }

  assert {
    condition     = length(module.monitor) == 0 && output.monitor_function_name == null
    error_message = "without an endpoint there is nothing to look at"
  }
}

run "no_code" {
  command = plan

  variables {
    monitor_package = null
  }

  assert {
    condition     = length(module.monitor) == 0
    error_message = "without its code there is no function"
  }
}

run "no_baseline" {
  command = plan

  variables {
    baseline_uri = null
  }

  assert {
    condition     = length(module.monitor) == 0
    error_message = "a version without a baseline cannot be compared with"
  }
}

run "no_capture" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "tests/config"
  }

  assert {
    condition     = length(module.monitor) == 0
    error_message = "serverless captures nothing"
  }
}

run "model_monitor_and_shipping_alone" {
  variables {
    config_dir = "tests/config/more"
  }

  assert {
    condition     = length(module.monitor) == 0
    error_message = "monitoring.enabled: false must do"
  }

  assert {
    condition     = toset(module.model_monitor[0].kinds) == toset(["data_quality", "explainability"]) && module.model_monitor[0].stack_name == "churn-dev-model-monitor"
    error_message = "the monitors of the settings, and no others"
  }

  assert {
    condition     = contains([for statement in local.model_monitor_statements : jsondecode(statement).Sid], "AnEndpointIsAskedForReasons") && length(module.log_shipping) == 1
    error_message = "explanations need an endpoint of their own; logs go to the domain"
  }
}

run "neither_by_itself" {
  command = plan

  assert {
    condition     = length(module.model_monitor) == 0 && length(module.model_monitor_role) == 0 && length(module.log_shipping) == 0 && !contains([for statement in local.model_monitor_statements : jsondecode(statement).Sid], "AnEndpointIsAskedForReasons")
    error_message = "both are off until they are asked for"
  }
}
