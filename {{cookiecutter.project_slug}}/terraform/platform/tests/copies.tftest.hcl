mock_provider "aws" {
  source          = "../tests/mocks"
  override_during = plan
}

variables {
  config_dir = "../tests/config"
}

# Dev trains; qa and prod are in other accounts.
run "three_accounts" {
  command = plan

  variables {
    environment = "dev"
  }

  assert {
    condition = alltrue([for policy in [
      module.bucket["artifacts"].policy, module.key["artifacts"].policy, aws_sagemaker_model_package_group_policy.copiers[0].resource_policy, aws_ecr_repository_policy.copiers[0].policy,
      ] : length([for statement in jsondecode(policy).Statement : statement
        if try([statement.Condition.ArnEquals["aws:PrincipalArn"], statement.Principal.AWS], []) == [
          ["arn:aws:iam::012345678901:role/churn/churn-qa-deploy", "arn:aws:iam::333333333333:role/churn/churn-prod-deploy"],
          ["arn:aws:iam::012345678901:root", "arn:aws:iam::333333333333:root"],
        ]
    ]) > 0])
    error_message = "bucket, key, group and repository let the deploy roles of the other environments, and nobody else there, fetch versions"
  }

  assert {
    condition = alltrue(flatten([for policy in [
      module.bucket["artifacts"].policy, module.key["artifacts"].policy, aws_sagemaker_model_package_group_policy.copiers[0].resource_policy, aws_ecr_repository_policy.copiers[0].policy,
      ] : [for statement in jsondecode(policy).Statement : [for action in flatten([statement.Action]) : can(regex(":(BatchCheck|BatchGet|Decrypt|Describe|Get|List)", action))]
      if can(statement.Condition.ArnEquals["aws:PrincipalArn"])
    ]]))
    error_message = "they write nothing"
  }

  assert {
    condition = { for statement in jsondecode(module.bucket["artifacts"].policy).Statement : statement.Sid => try(statement.Condition.StringLike["s3:prefix"], statement.Resource) if can(statement.Condition.ArnEquals) } == {
      OthersRead = [for prefix in ["registry/churn/*", "churn/*"] : "arn:aws:s3:::churn-dev-artifacts-111122223333/${prefix}"]
      OthersList = ["registry/churn/*", "churn/*"]
    }
    error_message = "of the bucket they see versions and the outputs of their executions, not code, cards or champions"
  }

  assert {
    condition = alltrue([for kind in ["capture", "data"] : alltrue([for policy in [module.bucket[kind].policy, module.key[kind].policy] :
      !strcontains(policy, "aws:PrincipalArn")
    ])])
    error_message = "data and captured requests stay where they are"
  }
}

run "copies" {
  command = plan

  variables {
    environment = "prod"
  }

  assert {
    condition     = length(aws_ecr_repository_policy.copiers) == 0 && !strcontains(module.bucket["artifacts"].policy, "aws:PrincipalArn") && !strcontains(module.key["artifacts"].policy, "aws:PrincipalArn")
    error_message = "nobody fetches copies"
  }
}

run "one_account" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/one_account/config"
  }

  assert {
    condition     = aws_sagemaker_model_package_group.this.model_package_group_name == "churn-dev" && length(local.copiers) == 0
    error_message = "in one account each environment has a registry of its own, and roles need no policy there"
  }
}

run "a_registry_of_two" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/one_account/config"
  }

  expect_failures = [aws_sagemaker_model_package_group.this]
}
