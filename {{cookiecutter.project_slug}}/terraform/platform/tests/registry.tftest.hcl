mock_provider "aws" {
  source = "../tests/mocks"
}

# Keys that can be told apart.
override_resource {
  target = module.key["artifacts"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/artifacts" }
}

variables {
  config_dir = "../tests/config"
}

run "record" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = aws_sagemaker_model_package_group.this.model_package_group_name == "churn"
    error_message = "the group is model_package_group of config/"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_sagemaker_model_package_group_policy.copiers[0].resource_policy).Statement :
      statement.Effect == "Allow" && toset(statement.Principal.AWS) == toset(["arn:aws:iam::012345678901:root", "arn:aws:iam::333333333333:root"])
      && toset(statement.Condition.ArnEquals["aws:PrincipalArn"]) == toset(["arn:aws:iam::012345678901:role/churn/churn-qa-deploy", "arn:aws:iam::333333333333:role/churn/churn-prod-deploy"])
      && alltrue([for action in statement.Action : can(regex(":(Describe|List)", action))])
    ])
    error_message = "the deploy roles of the other environments, and nobody else there, read versions"
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

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.this[0].policy).rules[0].selection.tagStatus == "untagged"
    error_message = "only images that lost their tag expire: those of versions stay"
  }

}

run "a_copy" {
  command = plan

  variables {
    environment = "qa"
  }

  assert {
    condition     = length(aws_sagemaker_model_package_group_policy.copiers) == 0
    error_message = "copies are read by nobody else"
  }

  assert {
    condition     = length(aws_ecr_repository.this) == 0 && output.platform.image_repository_url == ""
    error_message = "a managed container needs no image repository"
  }
}

run "another_record" {
  command = plan

  variables {
    config_dir  = "../tests/switches"
    environment = "qa"
  }

  assert {
    condition     = jsondecode(aws_sagemaker_model_package_group_policy.copiers[0].resource_policy).Statement[0].Condition.ArnEquals["aws:PrincipalArn"] == ["arn:aws:iam::333333333333:role/churn/churn-prod-deploy"]
    error_message = "only the deploy roles of other accounts read the registry of record: one's own need no policy"
  }
}
