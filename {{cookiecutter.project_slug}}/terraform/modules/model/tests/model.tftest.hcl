mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "churn-dev"
  environment        = "dev"
  package_arn        = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/12"
  registry           = { account = "111122223333", region = "eu-west-1", group = "churn" }
  role_arn           = "arn:aws:iam::111122223333:role/churn/churn-dev-inference"
  subnet_ids         = ["subnet-0a1b2c3d4e5f60718", "subnet-0f1e2d3c4b5a69788"]
  security_group_ids = ["sg-0123456789abcdef0"]
}

run "isolated_in_the_vpc" {
  assert {
    condition     = aws_sagemaker_model.this.enable_network_isolation
    error_message = "the container must have no network"
  }

  assert {
    condition     = toset(one(aws_sagemaker_model.this.vpc_config).subnets) == toset(var.subnet_ids)
    error_message = "the instances must stand in the private subnets"
  }

  assert {
    condition     = one(aws_sagemaker_model.this.primary_container).model_package_name == var.package_arn
    error_message = "the container must be of exactly that version"
  }

  assert {
    condition     = can(regex("^churn-dev-v12-[0-9a-f]{8}$", output.name))
    error_message = "the name must tell the version"
  }
}

run "the_container_is_told_what_it_is_given" {
  command = plan

  variables {
    container_environment = { MODEL_SIGNATURE = "bm8=" }
  }

  assert {
    condition     = one(aws_sagemaker_model.this.primary_container).environment == tomap({ MODEL_SIGNATURE = "bm8=" })
    error_message = "the container must have the variables, beside those of the version"
  }
}

run "a_value_that_sagemaker_refuses" {
  command = plan

  variables {
    container_environment = { MODEL_SIGNATURE = format("%1025s", "a") }
  }

  expect_failures = [var.container_environment]
}

run "the_same_version_keeps_its_model" {
  assert {
    condition     = output.name == run.isolated_in_the_vpc.name
    error_message = "nothing changed: the model must stay"
  }
}

run "another_version_is_another_model" {
  variables {
    package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/13"
  }

  assert {
    condition     = can(regex("^churn-dev-v13-", output.name))
    error_message = "the name must tell the version"
  }
}

run "back_to_a_version_is_another_model_too" {
  assert {
    condition     = can(regex("^churn-dev-v12-", output.name)) && output.name != run.isolated_in_the_vpc.name
    error_message = "the first model of this version may still be there"
  }
}

run "serverless_has_neither_vpc_nor_isolation" {
  variables {
    isolated = false
  }

  assert {
    condition     = length(aws_sagemaker_model.this.vpc_config) == 0 && !aws_sagemaker_model.this.enable_network_isolation
    error_message = "SageMaker refuses both for serverless endpoints"
  }
}

run "an_unversioned_package_is_refused" {
  command = plan

  variables {
    package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn"
  }

  expect_failures = [var.package_arn]
}

run "another_account_is_refused" {
  command = plan

  variables {
    package_arn = "arn:aws:sagemaker:eu-west-1:999988887777:model-package/churn/12"
  }

  expect_failures = [var.package_arn]
}

run "another_region_is_refused" {
  command = plan

  variables {
    package_arn = "arn:aws:sagemaker:us-east-1:111122223333:model-package/churn/12"
  }

  expect_failures = [var.package_arn]
}

run "another_group_is_refused" {
  command = plan

  variables {
    package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/fraud/12"
  }

  expect_failures = [var.package_arn]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a1b2c3d4e5f60718"]
  }

  expect_failures = [var.subnet_ids]
}

run "no_security_group_is_refused" {
  command = plan

  variables {
    security_group_ids = []
  }

  expect_failures = [var.security_group_ids]
}

run "a_long_name_is_refused" {
  command = plan

  variables {
    name = "a-name-that-leaves-no-room-for-version-and-suffix"
  }

  expect_failures = [var.name]
}
