mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name          = "churn-dev"
  environment   = "dev"
  endpoint_name = "churn-dev"
  role_arn      = "arn:aws:iam::111122223333:role/churn/churn-dev-model-monitor"
  baseline_uri  = "s3://churn-dev-artifacts-111122223333/registry/churn/0a1b2c3d"
  report_uri    = "s3://churn-dev-capture-111122223333/churn/monitor/churn-dev/model-monitor"

  platform = {
    subnet_ids          = ["subnet-0a1b2c3d4e5f60718", "subnet-0f1e2d3c4b5a69788"]
    security_group_ids  = ["sg-0123456789abcdef0"]
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
    volume_kms_key_arn  = "arn:aws:kms:eu-west-1:111122223333:key/22222222-2222-3333-4444-555555555555"
  }
}

run "nothing_by_itself" {
  assert {
    condition     = length(output.kinds) == 0 && length(aws_sagemaker_data_quality_job_definition.this) == 0 && length(aws_cloudformation_stack.this) == 0
    error_message = "each costs by the hour: none without being asked for"
  }
}

run "data_quality" {
  variables {
    model_monitor = { data_quality = true }
  }

  assert {
    condition     = aws_sagemaker_data_quality_job_definition.this[0].network_config[0].enable_network_isolation && aws_sagemaker_data_quality_job_definition.this[0].network_config[0].enable_inter_container_traffic_encryption && toset(aws_sagemaker_data_quality_job_definition.this[0].network_config[0].vpc_config[0].subnets) == toset(var.platform.subnet_ids)
    error_message = "jobs run in the network, isolated and encrypted"
  }

  assert {
    condition     = aws_sagemaker_data_quality_job_definition.this[0].data_quality_job_output_config[0].kms_key_id == var.platform.capture_kms_key_arn && aws_sagemaker_data_quality_job_definition.this[0].job_resources[0].cluster_config[0].volume_kms_key_id == var.platform.volume_kms_key_arn
    error_message = "reports and disks must be encrypted with their keys"
  }

  assert {
    condition     = aws_sagemaker_data_quality_job_definition.this[0].data_quality_baseline_config[0].statistics_resource[0].s3_uri == "${var.baseline_uri}/statistics.json" && aws_sagemaker_monitoring_schedule.this[0].monitoring_schedule_config[0].monitoring_job_definition_name == aws_sagemaker_data_quality_job_definition.this[0].name
    error_message = "the schedule must compare with the version's own baseline"
  }

  assert {
    condition     = length(aws_cloudformation_stack.this) == 0 && output.stack_name == null
    error_message = "data quality needs no stack"
  }
}

run "the_others" {
  variables {
    model_monitor = { model_quality = true, bias = true, explainability = true, ground_truth_uri = "s3://b/labels", analysis_config_uri = "s3://b/clarify.json", problem_type = "Regression" }
  }

  assert {
    condition     = output.stack_name == "churn-dev-model-monitor" && { for name in ["ModelQuality", "Bias", "Explainability", "ProblemType", "GroundTruthUri"] : name => aws_cloudformation_stack.this[0].parameters[name] } == { ModelQuality = "true", Bias = "true", Explainability = "true", ProblemType = "Regression", GroundTruthUri = "s3://b/labels" }
    error_message = "what the settings say must reach the stack"
  }

  assert {
    condition     = toset(keys(yamldecode(replace(aws_cloudformation_stack.this[0].template_body, "/![A-Z][A-Za-z]*/", "")).Parameters)) == toset(keys(aws_cloudformation_stack.this[0].parameters))
    error_message = "template and module must know the same parameters"
  }

  assert {
    condition     = length(aws_sagemaker_data_quality_job_definition.this) == 0
    error_message = "data quality was not asked for"
  }
}

run "half_past_is_refused" {
  command = plan

  variables {
    model_monitor = { schedule = "cron(30 * ? * * *)" }
  }

  expect_failures = [var.model_monitor]
}

run "quality_without_labels_is_refused" {
  command = plan

  variables {
    model_monitor = { model_quality = true }
  }

  expect_failures = [var.model_monitor]
}

run "explanations_without_a_configuration_are_refused" {
  command = plan

  variables {
    model_monitor = { explainability = true }
  }

  expect_failures = [var.model_monitor]
}

run "an_unknown_problem_is_refused" {
  command = plan

  variables {
    model_monitor = { problem_type = "Ranking" }
  }

  expect_failures = [var.model_monitor]
}

run "a_long_name_is_refused" {
  command = plan

  variables {
    name = "a-name-that-leaves-a-definition-no-room-at-all"
  }

  expect_failures = [var.name]
}
