mock_provider "aws" {
  source = "../tests/mocks"
}

# Keys that can be told apart.
override_resource {
  target = module.key["data"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/data" }
}

override_resource {
  target = module.key["volumes"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/volumes" }
}

variables {
  config_dir = "../tests/switches"
}

run "on" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = aws_sagemaker_domain.this[0].app_network_access_type == "VpcOnly" && aws_sagemaker_domain.this[0].kms_key_id == module.key["volumes"].arn
    error_message = "Studio stays in the network, and its disks are encrypted with the key of disks"
  }

  assert {
    condition     = one(aws_sagemaker_domain.this[0].default_user_settings).execution_role == module.studio_role[0].arn
    error_message = "who works in Studio has Studio's role"
  }

  assert {
    condition     = toset([for profile in aws_sagemaker_user_profile.this : profile.user_profile_name]) == toset(["analyst"])
    error_message = "studio.user_profiles are the people of Studio"
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy.studio)) == toset(["data-scientist", "studio"])
    error_message = "data scientists open Studio, and Studio's role runs applications"
  }

  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.studio : [
        for arn in jsondecode(policy.policy).Statement[0].Resource : contains(split("/", arn), aws_sagemaker_domain.this[0].id)
      ]
    ]))
    error_message = "what may be done in Studio is bound to this domain"
  }

  assert {
    condition     = !contains(jsondecode(aws_iam_role_policy.studio["studio"].policy).Statement[0].Action, "sagemaker:CreatePresignedDomainUrl")
    error_message = "from inside of Studio nobody may open it as someone else"
  }

  assert {
    condition     = aws_sagemaker_mlflow_tracking_server.this[0].artifact_store_uri == "s3://churn-dev-artifacts-111122223333/churn/mlflow"
    error_message = "MLflow keeps files in a folder of its own, which nothing deletes by age"
  }

  assert {
    condition = alltrue([
      for policy in aws_iam_role_policy.mlflow :
      jsondecode(policy.policy).Statement[0].Resource == "arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/churn-dev"
    ]) && length(aws_iam_role_policy.mlflow) == 2
    error_message = "data scientists and Studio log runs on this server alone"
  }

  assert {
    condition = { for feature in aws_sagemaker_feature_group.this[0].feature_definition : feature.feature_name => feature.feature_type } == {
      customer = "String", at = "String", months = "Integral", charges = "Fractional", plan = "String"
    }
    error_message = "a feature group has the id, the moment and the features of data_contract.yaml, in their types"
  }

  assert {
    condition = alltrue([
      for storage in one(aws_sagemaker_feature_group.this[0].offline_store_config).s3_storage_config :
      storage.s3_uri == "s3://churn-dev-data-111122223333/churn/features" && storage.kms_key_id == module.key["data"].arn
    ])
    error_message = "features lie in the data bucket, encrypted with the key of data"
  }

  assert {
    condition     = length(aws_sagemaker_feature_group.this[0].online_store_config) == 0
    error_message = "the online store, which costs by the hour, is off"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.features["data-scientist"].policy).Statement[0].Resource == "arn:aws:sagemaker:eu-west-1:111122223333:feature-group/customers"
    error_message = "data scientists write to this group alone"
  }
}

run "off" {
  variables {
    environment = "qa"
  }

  assert {
    condition = alltrue([
      length(aws_sagemaker_domain.this) == 0, length(aws_sagemaker_user_profile.this) == 0, length(module.studio_role) == 0, length(aws_iam_role_policy.studio) == 0,
      length(aws_sagemaker_mlflow_tracking_server.this) == 0, length(module.mlflow_role) == 0, length(aws_iam_role_policy.mlflow) == 0,
      length(aws_sagemaker_feature_group.this) == 0, length(module.feature_store_role) == 0, length(aws_iam_role_policy.features) == 0,
    ])
    error_message = "what is switched off must not be built"
  }
}

run "no_way_out_and_no_such_name" {
  command = plan

  variables {
    config_dir  = "../tests/refusals"
    environment = "qa"
  }

  expect_failures = [aws_sagemaker_domain.this, aws_sagemaker_feature_group.this]
}

run "one_column_for_who_and_when" {
  command = plan

  variables {
    config_dir  = "../tests/refusals"
    environment = "prod"
  }

  expect_failures = [aws_sagemaker_feature_group.this]
}
