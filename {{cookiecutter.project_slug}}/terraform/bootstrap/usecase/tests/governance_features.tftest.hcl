mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

run "where_models_are_trained" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition = [for policy in aws_iam_policy.features : { for statement in jsondecode(policy.policy).Statement : statement.Sid => statement.Resource }] == [{
      FeaturesAreWritten = "arn:aws:sagemaker:ap-southeast-1:111122223333:feature-group/features-of-customers"
      FeaturesAreRead    = "arn:aws:s3:::long-names-of-a-use-case-dev-data-111122223333/long-names-of-a-use-case/features/*"
    }]
    error_message = "jobs write and read the features of this use case"
  }

  assert {
    condition     = [for attached in aws_iam_role_policy_attachment.features : attached.role] == ["long-names-of-a-use-case-dev-train"]
    error_message = "it is the job that trains that does"
  }
}

run "elsewhere" {
  command = plan

  variables {
    environment = "prod"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition     = length(aws_iam_policy.features) == 0 && length(aws_iam_role_policy_attachment.features) == 0
    error_message = "where nothing is trained, jobs need no features"
  }
}

run "without_a_feature_group" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "../../tests/config"
  }

  assert {
    condition     = length(aws_iam_policy.features) == 0
    error_message = "without a feature group there is nothing to write"
  }
}
