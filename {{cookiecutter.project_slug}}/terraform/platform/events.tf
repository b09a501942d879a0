# The registry of record tells the owner and GitLab what happens to a version: one rule per status, no function in between.
# With `events.approval_trigger: poll`, or as long as GitLab's project is not known, only the owner hears of it.
locals {
  gitlab     = yamldecode(file("${local.repository}/gitlab.yml"))
  repository = var.config_dir == null ? "${path.module}/../.." : "${var.config_dir}/.."

  records    = local.config.training_environment == var.environment
  by_event   = local.records && local.config.events.approval_trigger == "event"
  has_events = local.by_event && local.config.aws_access.project_id != ""

  # What GitLab's pipeline is told, by the status of the version.
  statuses = { for status, told in {
    PendingManualApproval = "pending"
    Approved              = "approved"
    Rejected              = "rejected"
  } : status => told if local.records }
}

check "gitlab_hears_of_decisions" {
  assert {
    condition     = !local.by_event || local.has_events
    error_message = "GitLab does not hear of decisions on models: put the number of its project under aws_access.project_id in config/${var.environment}.yaml, or set events.approval_trigger: poll."
  }
}

resource "aws_cloudwatch_event_rule" "status" {
  for_each = local.statuses

  name        = "${local.name}-version-${each.value}"
  description = "A version of ${local.group} is ${each.value}"

  event_pattern = jsonencode({
    source      = ["aws.sagemaker"]
    detail-type = ["SageMaker Model Package State Change"]
    detail      = { ModelPackageGroupName = [local.group], ModelApprovalStatus = [each.key] }
  })
}

resource "aws_cloudwatch_event_target" "owner" {
  for_each = local.statuses

  rule = aws_cloudwatch_event_rule.status[each.key].name
  arn  = aws_sns_topic.this["models"].arn

  input_transformer {
    input_paths    = { arn = "$.detail.ModelPackageArn" }
    input_template = "\"<arn> is ${each.value}.\""
  }
}

resource "aws_cloudwatch_event_target" "gitlab" {
  for_each = { for status, told in local.statuses : status => told if local.has_events }

  rule     = aws_cloudwatch_event_rule.status[each.key].name
  arn      = aws_cloudwatch_event_api_destination.gitlab[0].arn
  role_arn = module.events_role[0].arn

  input_transformer {
    input_paths = { arn = "$.detail.ModelPackageArn" }
    # Not jsonencode: it would write the brackets of <arn> as escapes.
    input_template = <<-EOT
      {"ref": "${local.config.events.gitlab_ref}", "inputs": {"registry_event": "${each.value}", "model_package_arn": "<arn>"}}
    EOT
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 20
  }

  dead_letter_config {
    arn = aws_sqs_queue.undelivered[0].arn
  }
}

resource "aws_cloudwatch_event_api_destination" "gitlab" {
  count = local.has_events ? 1 : 0

  name                             = "${local.name}-gitlab"
  description                      = "Pipeline trigger of the use case's project"
  invocation_endpoint              = "${trimsuffix(local.gitlab.url, "/")}/api/v4/projects/${local.config.aws_access.project_id}/trigger/pipeline"
  http_method                      = "POST"
  invocation_rate_limit_per_second = 1
  connection_arn                   = aws_cloudwatch_event_connection.gitlab[0].arn
}

# GitLab reads its trigger token from the body. The token never stands here, nor in the state: README.md says how it gets there.
resource "aws_cloudwatch_event_connection" "gitlab" {
  count = local.has_events ? 1 : 0

  name               = "${local.name}-gitlab"
  description        = "Trigger token of the use case's project"
  authorization_type = "API_KEY"

  auth_parameters {
    api_key { # EventBridge asks for one; GitLab does not read it
      key   = "X-Sender"
      value = "EventBridge"
    }

    invocation_http_parameters {
      body {
        key             = "token"
        value           = "put in after the first apply"
        is_value_secret = true
      }
    }
  }

  lifecycle {
    ignore_changes = [auth_parameters]
  }
}

module "events_role" {
  source = "../modules/role"
  count  = local.has_events ? 1 : 0

  name    = "${local.name}-events"
  project = local.project
  purpose = "EventBridge, which calls GitLab"
  service = "events.amazonaws.com"
  account = local.account
  statements = [jsonencode({
    Sid      = "GitLabIsCalled"
    Effect   = "Allow"
    Action   = "events:InvokeApiDestination"
    Resource = "arn:${local.partition}:events:${local.region}:${local.account}:api-destination/${local.name}-gitlab/*" # an id of AWS follows
  })]
  permissions_boundary = local.permissions_boundary
}

locals {
  queue_arn = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.name}-undelivered"
}

# What GitLab did not take within the hour.
resource "aws_sqs_queue" "undelivered" {
  count = local.has_events ? 1 : 0

  name                              = "${local.name}-undelivered"
  message_retention_seconds         = 1209600 # 14 days, the longest
  kms_master_key_id                 = module.key["logs"].arn
  kms_data_key_reuse_period_seconds = 300
}

resource "aws_sqs_queue_policy" "undelivered" {
  count = local.has_events ? 1 : 0

  queue_url = aws_sqs_queue.undelivered[0].url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RulesSend"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arn
        Condition = { ArnLike = { "aws:SourceArn" = [for rules in ["version-*", "*retrain-*"] : "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.name}-${rules}"] } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.queue_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  count = local.has_events ? 1 : 0

  alarm_name          = "${local.name}-undelivered"
  alarm_description   = "GitLab did not hear of a decision on a model: look at the queue ${aws_sqs_queue.undelivered[0].name}, then start the pipeline by hand"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.undelivered[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["alarms"].arn]
  ok_actions          = [aws_sns_topic.this["alarms"].arn]
}
