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
    condition     = length(aws_sqs_queue.unstarted) == 0
    error_message = "without a schedule nothing can be missed"
  }
}

run "by_schedule" {
  variables {
    batch = { schedule = "cron(0 4 * * ? *)" }
  }

  assert {
    condition     = aws_scheduler_schedule.this[0].target[0].dead_letter_config[0].arn == aws_sqs_queue.unstarted[0].arn
    error_message = "a run that could not be started must be kept"
  }

  assert {
    condition     = aws_sqs_queue.unstarted[0].kms_master_key_id == var.platform.log_kms_key_arn && aws_sqs_queue.unstarted[0].name == "churn-dev-unstarted"
    error_message = "the queue is encrypted, and has the name that the scheduler's role knows"
  }

  assert {
    condition     = [for statement in jsondecode(aws_sqs_queue_policy.unstarted[0].policy).Statement : statement.Effect] == ["Deny"]
    error_message = "nobody is let in"
  }
}
