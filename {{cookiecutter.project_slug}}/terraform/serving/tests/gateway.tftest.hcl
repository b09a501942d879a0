mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  environment       = "dev"
  config_dir        = "tests/config/more"
  contract_file     = "tests/data_contract.yaml"
  model_package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/3"
  platform          = jsondecode(file("../tests/facts.json"))
}

run "with_a_gateway" {
  assert {
    condition     = output.api_url == "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/dev/predictions" && output.usage_plan_id == null
    error_message = "the address must be told"
  }
}

run "with_keys" {
  variables {
    environment = "qa"
    config_dir  = "tests/config"
  }

  assert {
    condition     = output.usage_plan_id != null
    error_message = "the usage plan must be told: keys are added to it"
  }
}

run "no_gateway_before_the_first_version" {
  command = plan

  variables {
    model_package_arn = null
  }

  assert {
    condition     = length(module.gateway) == 0 && output.api_url == null
    error_message = "without an endpoint there is nothing to stand before"
  }
}

run "no_gateway_by_default" {
  command = plan

  variables {
    config_dir = "../tests/config"
  }

  assert {
    condition     = length(module.gateway) == 0
    error_message = "the gateway is off until it is asked for"
  }
}
