mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  config_dir = "../tests/config"
}

run "own_container" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = aws_ecr_repository.this[0].image_tag_mutability == "IMMUTABLE"
    error_message = "an image tag must never move"
  }

  assert {
    condition     = aws_ecr_repository.this[0].image_scanning_configuration[0].scan_on_push
    error_message = "images must be scanned"
  }

  assert {
    condition     = aws_ecr_repository.this[0].encryption_configuration[0].kms_key == module.key["artifacts"].arn
    error_message = "images must be encrypted with the use case's key"
  }

  assert {
    condition     = output.platform.model_package_group == "churn" && output.platform.image_repository_url == aws_ecr_repository.this[0].repository_url
    error_message = "the facts name the registry and the image repository"
  }
}

run "managed_container" {
  command = plan

  variables {
    environment = "qa"
  }

  assert {
    condition     = length(aws_ecr_repository.this) == 0 && output.platform.image_repository_url == ""
    error_message = "a managed container needs no image repository"
  }
}
