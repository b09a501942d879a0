mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "churn-dev"
  project            = "churn"
  environment        = "dev"
  model_name         = "churn-dev-v12-0a1b2c3d"
  volume_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  max_payload_mb     = 6
  tags               = { Project = "churn" }

  platform = {
    capture_bucket      = "churn-dev-capture-111122223333"
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/33333333-2222-3333-4444-555555555555"
    log_kms_key_arn     = "arn:aws:kms:eu-west-1:111122223333:key/44444444-2222-3333-4444-555555555555"
    batch_role_arn      = "arn:aws:iam::111122223333:role/churn/churn-dev-batch"
    scheduler_role_arn  = "arn:aws:iam::111122223333:role/churn/churn-dev-scheduler"
  }
}

run "by_hand" {
  assert {
    condition     = length(aws_scheduler_schedule.this) == 0 && output.schedule_group == "churn-dev-batch"
    error_message = "without a schedule a person starts it"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters.ModelName == var.model_name && endswith(jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Resource, ":states:::sagemaker:createTransformJob.sync")
    error_message = "the state machine must wait for a job of the model"
  }

  assert {
    condition = (
      jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters.TransformOutput.KmsKeyId == var.platform.capture_kms_key_arn &&
      jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters.TransformResources.VolumeKmsKeyId == var.volume_kms_key_arn &&
      jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters.DataCaptureConfig.KmsKeyId == var.platform.capture_kms_key_arn
    )
    error_message = "answers, disks and captures must be encrypted with their keys"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).States.Transform.TimeoutSeconds == 7200 && jsondecode(aws_sfn_state_machine.this.definition).TimeoutSeconds > 7200
    error_message = "a job may take 120 minutes, its run a little more"
  }

  assert {
    condition     = alltrue([for word in ["Execution.Id", "State.RetryCount"] : strcontains(jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters["TransformJobName.$"], word)])
    error_message = "each try needs a name of its own"
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters.Tags == [{ Key = "Project", Value = "churn" }]
    error_message = "jobs must carry the tags"
  }

  assert {
    condition     = aws_sfn_state_machine.this.logging_configuration[0].level == "ALL" && aws_sfn_state_machine.this.tracing_configuration[0].enabled && aws_cloudwatch_log_group.this.kms_key_id == var.platform.log_kms_key_arn && aws_cloudwatch_log_group.this.retention_in_days == 365
    error_message = "runs must be logged, encrypted and for a year, and traced"
  }
}

run "by_schedule" {
  variables {
    batch = { schedule = "cron(0 4 * * ? *)", timeout_minutes = 30 }
  }

  assert {
    condition     = aws_scheduler_schedule.this[0].schedule_expression == "cron(0 4 * * ? *)" && aws_scheduler_schedule.this[0].target[0].arn == output.state_machine_arn && aws_scheduler_schedule.this[0].target[0].role_arn == var.platform.scheduler_role_arn
    error_message = "the schedule must start the state machine with its role"
  }
}

run "no_capture_and_no_volume_key" {
  command = plan

  variables {
    capture            = { percentage = 0 }
    volume_kms_key_arn = null
  }

  assert {
    condition     = !can(jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters.DataCaptureConfig) && !can(jsondecode(aws_sfn_state_machine.this.definition).States.Transform.Parameters.TransformResources.VolumeKmsKeyId)
    error_message = "neither was asked for"
  }
}

run "five_fields_is_refused" {
  command = plan

  variables {
    batch = { schedule = "cron(0 4 * * ?)" }
  }

  expect_failures = [var.batch]
}

run "a_rate_is_refused" {
  command = plan

  variables {
    batch = { schedule = "rate(1 day)" }
  }

  expect_failures = [var.batch]
}

run "no_instance_is_refused" {
  command = plan

  variables {
    batch = { instance_count = 0 }
  }

  expect_failures = [var.batch]
}

run "more_than_a_week_is_refused" {
  command = plan

  variables {
    batch = { timeout_minutes = 10081 }
  }

  expect_failures = [var.batch]
}

run "too_much_at_a_time_is_refused" {
  command = plan

  variables {
    batch = { max_concurrent_transforms = 20 }
  }

  expect_failures = [var.max_payload_mb]
}

run "a_long_name_is_refused" {
  command = plan

  variables {
    name = "a-name-that-leaves-a-job-no-room"
  }

  expect_failures = [var.name]
}
