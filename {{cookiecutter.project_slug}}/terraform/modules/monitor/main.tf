locals {
  function     = "${var.name}-monitor"
  function_arn = "arn:${data.aws_partition.current.partition}:lambda:${var.region}:${var.account}:function:${local.function}"
  queue_arn    = "arn:${data.aws_partition.current.partition}:sqs:${var.region}:${var.account}:${var.name}-unmonitored"

  objects      = { for what, uri in { capture = var.capture_uri, baseline = var.baseline_uri, report = var.report_uri } : what => trimsuffix(trimprefix(uri, "s3://"), "/") }
  object_arns  = { for what, path in local.objects : what => "arn:${data.aws_partition.current.partition}:s3:::${path}" }
  bucket_arns  = { for what, path in local.objects : what => "arn:${data.aws_partition.current.partition}:s3:::${split("/", path)[0]}" }
  key_prefixes = { for what, path in local.objects : what => join("/", slice(split("/", path), 1, length(split("/", path)))) }
}

data "aws_partition" "current" {}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.function}" # where Lambda writes to
  retention_in_days = 365
  kms_key_id        = var.platform.log_kms_key_arn
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_117:it reads and writes objects alone, which S3 lets no role but its own do; in the VPC it would need network interfaces and an endpoint of SQS, which costs by the hour
  #checkov:skip=CKV_AWS_50:it calls S3 alone, and its own report says how long what took
  #checkov:skip=CKV_AWS_272:its code is held against the hash that the deployment has built, below
  function_name = local.function
  description   = "Compares what ${var.endpoint_name} was asked with the training rows, once per window"
  role          = module.role.arn
  handler       = "usecase.mlops.monitoring.function.handler"
  runtime       = "python3.12" # for which usecase.mlops.monitoring.package brings the libraries
  architectures = ["x86_64"]
  s3_bucket     = var.package.bucket
  s3_key        = var.package.key # by content: other code is another key
  memory_size   = var.monitoring.memory_mb
  timeout       = var.monitoring.timeout_seconds
  kms_key_arn   = var.platform.log_kms_key_arn # of the environment

  # Two at a time would judge one window twice.
  reserved_concurrent_executions = 1

  ephemeral_storage {
    size = 2048 # report and plots
  }

  environment {
    variables = {
      USECASE_PROJECT       = var.project
      USECASE_ENVIRONMENT   = var.environment
      ENDPOINT_NAME         = var.endpoint_name
      MODEL_PACKAGE_ARN     = var.model_package_arn
      CAPTURE_URI           = var.capture_uri
      BASELINE_URI          = var.baseline_uri
      REPORT_URI            = var.report_uri
      WINDOW_MINUTES        = var.monitoring.window_minutes
      CAPTURE_GRACE_MINUTES = var.monitoring.capture_grace_minutes
      MINIMUM_ROWS          = var.monitoring.minimum_rows
      MINIMUM_EFFECT        = var.monitoring.minimum_effect
      FALSE_ALARMS          = var.monitoring.false_alarms
    }
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.this.arn
  }

  logging_config {
    log_format = "Text" # metrics are lines of the log, which a wrapping would hide
    log_group  = aws_cloudwatch_log_group.this.name
  }

  lifecycle {
    postcondition {
      condition     = var.package.sha256 == null || self.code_sha256 == var.package.sha256
      error_message = "s3://${var.package.bucket}/${var.package.key} is not what was built: its hash is ${self.code_sha256}. Find out who wrote it, remove the object, and deploy again."
    }
  }

  depends_on = [module.role]
}

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = 2
}

# Of its own: the metrics of schedules are by group.
resource "aws_scheduler_schedule_group" "this" {
  name = local.function
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:there is nothing to encrypt, the input is a time
  name                         = local.function
  group_name                   = aws_scheduler_schedule_group.this.name
  description                  = "Looks at the last window of ${var.endpoint_name}"
  schedule_expression          = var.monitoring.schedule
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this.arn
    role_arn = module.scheduler_role.arn
    input    = "{\"time\": \"<aws.scheduler.scheduled-time>\"}" # not jsonencode: it would write the brackets as escapes

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = aws_sqs_queue.this.arn
    }
  }
}

# Windows that nobody has looked at: what the schedule could not start, and what the function could not end.
resource "aws_sqs_queue" "this" {
  name                              = "${var.name}-unmonitored"
  message_retention_seconds         = 1209600 # 14 days, the longest
  kms_master_key_id                 = var.platform.log_kms_key_arn
  kms_data_key_reuse_period_seconds = 300
}

# The roles of function and scheduler may send; nobody is let in from here.
resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = local.queue_arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
