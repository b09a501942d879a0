mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  config_dir = "../tests/config"
}

run "facts" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = toset(keys(jsondecode(aws_ssm_parameter.platform.value))) == toset(keys(jsondecode(file("../tests/facts.json")))) && aws_ssm_parameter.platform.name == "/churn/dev/platform"
    error_message = "the facts are those that the Python code and terraform/serving read"
  }
}
