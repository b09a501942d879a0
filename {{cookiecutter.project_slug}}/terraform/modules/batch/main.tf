locals {
  objects = "s3://${var.platform.capture_bucket}/${var.project}/batch"

  transform = merge(
    {
      # A job's name is used up for good: each try of each run has its own, 63 characters at most.
      "TransformJobName.$"    = "States.Format('${var.name}-{}', States.Hash(States.Format('{}/{}/{}', $$.Execution.Id, $$.State.EnteredTime, $$.State.RetryCount), 'MD5'))"
      ModelName               = var.model_name
      MaxConcurrentTransforms = var.batch.max_concurrent_transforms
      MaxPayloadInMB          = var.max_payload_mb
      BatchStrategy           = "MultiRecord"

      ModelClientConfig = {
        InvocationsTimeoutInSeconds = 600
        InvocationsMaxRetries       = 3
      }

      TransformInput = {
        ContentType     = "text/csv"
        SplitType       = "Line"
        CompressionType = "None"
        DataSource      = { S3DataSource = { S3DataType = "S3Prefix", "S3Uri.$" = "$.input_uri" } }
      }

      TransformOutput = {
        Accept           = "text/csv"
        AssembleWith     = "Line"
        KmsKeyId         = var.platform.capture_kms_key_arn
        "S3OutputPath.$" = "States.Format('{}/{}', $.output_uri, $$.Execution.Name)"
      }

      TransformResources = merge(
        { InstanceType = var.batch.instance_type, InstanceCount = var.batch.instance_count },
        var.volume_kms_key_arn == null ? {} : { VolumeKmsKeyId = var.volume_kms_key_arn },
      )

      Tags = [for key in sort(keys(var.tags)) : { Key = key, Value = var.tags[key] }]
    },
    var.capture.percentage == 0 ? {} : {
      DataCaptureConfig = {
        DestinationS3Uri    = "s3://${var.platform.capture_bucket}/${var.project}/capture/${var.name}-batch/"
        KmsKeyId            = var.platform.capture_kms_key_arn
        GenerateInferenceId = true
      }
    },
  )

  definition = {
    Comment        = "Asks ${var.model_name} about all files of input_uri; answers go below output_uri. Both can be given when it is started."
    StartAt        = "Defaults"
    TimeoutSeconds = var.batch.timeout_minutes * 60 + 300 # a job that is out of time is stopped before

    States = {
      Defaults = {
        Type       = "Pass"
        Result     = { input_uri = "${local.objects}/input/", output_uri = "${local.objects}/output" }
        ResultPath = "$.defaults"
        Next       = "Input"
      }
      Input = {
        Type       = "Pass"
        Parameters = { "given.$" = "States.JsonMerge($.defaults, $$.Execution.Input, false)" }
        OutputPath = "$.given"
        Next       = "Transform"
      }
      Transform = {
        Type           = "Task"
        Resource       = "arn:${data.aws_partition.current.partition}:states:::sagemaker:createTransformJob.sync"
        TimeoutSeconds = var.batch.timeout_minutes * 60
        Parameters     = local.transform
        Retry = [
          # No capacity, or too many calls at once: soon or later there is room.
          {
            ErrorEquals     = ["SageMaker.ResourceLimitExceededException", "SageMaker.AmazonSageMakerException"]
            IntervalSeconds = 60
            MaxAttempts     = 5
            BackoffRate     = 2
            JitterStrategy  = "FULL"
          },
          # The job itself has failed: a second time is no accident.
          {
            ErrorEquals     = ["States.TaskFailed"]
            IntervalSeconds = 120
            MaxAttempts     = 1
          },
        ]
        End = true
      }
    }
  }
}

data "aws_partition" "current" {}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/vendedlogs/states/${var.name}-batch" # this prefix spares the account's limit of log policies
  retention_in_days = 365
  kms_key_id        = var.platform.log_kms_key_arn
}

# The definition is not known before its model is there. That is welcome: the provider asks AWS to check a definition as soon
# as it knows it, also while it plans, so that a plan without an account would fail.
resource "aws_sfn_state_machine" "this" {
  name       = "${var.name}-batch"
  role_arn   = var.platform.batch_role_arn
  definition = jsonencode(local.definition)

  logging_configuration {
    level                  = "ALL"
    include_execution_data = true # names of objects, not their content
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }
}

# Of its own: the metrics of schedules are by group.
resource "aws_scheduler_schedule_group" "this" {
  name = "${var.name}-batch"
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:there is nothing to encrypt, the input of a scheduled run is empty
  count = var.batch.schedule == "" ? 0 : 1

  name                         = "${var.name}-batch"
  group_name                   = aws_scheduler_schedule_group.this.name
  description                  = "Starts the batch run of ${var.name}"
  schedule_expression          = var.batch.schedule
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.this.arn
    role_arn = var.platform.scheduler_role_arn
    input    = jsonencode({})

    # What could not be started by then is kept in the queue with the reason, and an alarm tells so.
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = aws_sqs_queue.unstarted[0].arn
    }
  }
}

resource "aws_sqs_queue" "unstarted" {
  count = var.batch.schedule == "" ? 0 : 1

  name                      = "${var.name}-unstarted"
  kms_master_key_id         = var.platform.log_kms_key_arn
  message_retention_seconds = 1209600 # two weeks, the most that SQS keeps
}

# The role of the scheduler may send; nobody is let in from here.
resource "aws_sqs_queue_policy" "unstarted" {
  count = var.batch.schedule == "" ? 0 : 1

  queue_url = aws_sqs_queue.unstarted[0].url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = aws_sqs_queue.unstarted[0].arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
