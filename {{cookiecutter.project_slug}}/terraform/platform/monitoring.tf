# Stage full: what asks for a training, told to GitLab where models are trained: drift in any environment, new data, a schedule. The
# job there decides, by cooldown, budget and kill switch of `retraining`; here nothing is counted.
locals {
  retrains      = local.has_events && local.config.retraining.enabled
  drift_alarms  = [for environment in keys(module.settings.accounts) : "${local.project}-${environment}-drift"]
  trains_in     = local.config.training_environment
  trainer       = lookup(module.settings.accounts, local.trains_in, local.account)
  trainer_bus   = "arn:${local.partition}:events:${module.settings.regions[local.trains_in]}:${local.trainer}:event-bus/${local.project}-${local.trains_in}-drift"
  elsewhere     = local.trainer != local.account || module.settings.regions[local.trains_in] != local.region
  forwards      = local.elsewhere && local.config.events.approval_trigger == "event" && local.config.retraining.on_drift ? 1 : 0
  forwarders    = [for environment, account in module.settings.accounts : environment if account != local.account || module.settings.regions[environment] != local.region]
  listens       = local.retrains && local.config.retraining.on_drift && length(local.forwarders) > 0 ? 1 : 0
  forward_roles = [for environment in local.forwarders : "arn:${local.partition}:iam::${module.settings.accounts[environment]}:role/${local.project}/${local.project}-${environment}-drift"]

  drift_pattern = {
    source      = ["aws.cloudwatch"]
    detail-type = ["CloudWatch Alarm State Change"]
    account     = distinct(values(module.settings.accounts))
    detail      = { alarmName = local.drift_alarms, state = { value = ["ALARM"] } }
  }

  # What GitLab is told as the reason, by what asks. Names of objects stay out: whoever writes data would write into the reason.
  asked_by = { for asker, rule in {
    drift = {
      asks  = local.config.retraining.on_drift, pattern = jsonencode(local.drift_pattern), schedule = null, bus = "default"
      paths = { alarm = "$.detail.alarmName", time = "$.time" }, reason = "drift <alarm> <time>"
    }
    drift-elsewhere = {
      asks  = local.listens == 1, pattern = jsonencode(local.drift_pattern), schedule = null, bus = "${local.name}-drift"
      paths = { alarm = "$.detail.alarmName", time = "$.time" }, reason = "drift <alarm> <time>"
    }
    data = {
      asks = local.config.retraining.on_new_data, schedule = null, bus = "default"
      pattern = jsonencode({
        source      = ["aws.s3"]
        detail-type = ["Object Created"]
        detail      = { bucket = { name = [module.bucket["data"].name] }, object = { key = [{ prefix = "${local.project}/data/" }] } }
      })
      paths = { time = "$.time" }, reason = "data <time>"
    }
    schedule = {
      asks  = local.config.retraining.schedule != "", pattern = null, schedule = local.config.retraining.schedule, bus = "default"
      paths = { time = "$.time" }, reason = "schedule <time>"
    }
  } : asker => rule if local.retrains && rule.asks }
}

resource "aws_cloudwatch_event_rule" "retrain" {
  for_each = local.asked_by

  name                = "${local.name}-retrain-${each.key}"
  description         = "Asks for a training of ${local.group}: ${each.key}"
  event_bus_name      = each.value.bus
  event_pattern       = each.value.pattern
  schedule_expression = each.value.schedule

  depends_on = [aws_cloudwatch_event_bus.drift]
}

resource "aws_cloudwatch_event_target" "retrain" {
  for_each = local.asked_by

  rule           = aws_cloudwatch_event_rule.retrain[each.key].name
  event_bus_name = each.value.bus
  arn            = aws_cloudwatch_event_api_destination.gitlab[0].arn
  role_arn       = module.events_role[0].arn

  input_transformer {
    input_paths = each.value.paths
    # Not jsonencode: it would write the brackets as escapes.
    input_template = <<-EOT
      {"ref": "${local.config.events.gitlab_ref}", "inputs": {"registry_event": "retrain", "reason": "${each.value.reason}"}}
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

# Environments in other accounts or regions tell of their drift here: one token, one way to GitLab.
resource "aws_cloudwatch_event_bus" "drift" {
  count = local.listens

  name        = "${local.name}-drift"
  description = "Drift in other environments of ${local.project}"
}

resource "aws_cloudwatch_event_bus_policy" "drift" {
  count = local.listens

  event_bus_name = aws_cloudwatch_event_bus.drift[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EnvironmentsTell"
      Effect    = "Allow"
      Principal = { AWS = distinct([for environment in local.forwarders : "arn:${local.partition}:iam::${module.settings.accounts[environment]}:root"]) }
      Action    = "events:PutEvents"
      Resource  = "arn:${local.partition}:events:${local.region}:${local.account}:event-bus/${local.name}-drift"
      Condition = { ArnEquals = { "aws:PrincipalArn" = local.forward_roles } } # which need not exist yet
    }]
  })
}

resource "aws_cloudwatch_event_rule" "drift" {
  count = local.forwards

  name          = "${local.name}-drift"
  description   = "Tells ${local.trains_in}, where models are trained, of drift here"
  event_pattern = jsonencode(merge(local.drift_pattern, { account = [local.account], detail = { alarmName = ["${local.name}-drift"], state = { value = ["ALARM"] } } }))
}

resource "aws_cloudwatch_event_target" "drift" {
  count = local.forwards

  rule     = aws_cloudwatch_event_rule.drift[0].name
  arn      = local.trainer_bus
  role_arn = module.drift_role[0].arn

  dead_letter_config {
    arn = aws_sqs_queue.untold[0].arn
  }
}

module "drift_role" {
  source = "../modules/role"
  count  = local.forwards

  name    = "${local.name}-drift"
  project = local.project
  purpose = "EventBridge, which tells ${local.trains_in} of drift"
  service = "events.amazonaws.com"
  account = local.account
  statements = [jsonencode({
    Sid      = "DriftIsTold"
    Effect   = "Allow"
    Action   = "events:PutEvents"
    Resource = local.trainer_bus
  })]
  permissions_boundary = local.permissions_boundary
}

resource "aws_sqs_queue" "untold" {
  count = local.forwards

  name                              = "${local.name}-untold"
  message_retention_seconds         = 1209600 # 14 days, the longest
  kms_master_key_id                 = module.key["logs"].arn
  kms_data_key_reuse_period_seconds = 300
}

resource "aws_sqs_queue_policy" "untold" {
  count = local.forwards

  queue_url = aws_sqs_queue.untold[0].url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RuleSends"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.name}-untold"
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.name}-drift" } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.name}-untold"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_cloudwatch_metric_alarm" "untold" {
  count = local.forwards

  alarm_name          = "${local.name}-untold"
  alarm_description   = "${local.trains_in} did not hear of drift here: look at the queue ${aws_sqs_queue.untold[0].name}, then run the pipeline for a training by hand"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.untold[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this["alarms"].arn]
  ok_actions          = [aws_sns_topic.this["alarms"].arn]
}

# EventBridge hears of new objects of the bucket only when it is told to.
resource "aws_s3_bucket_notification" "data" {
  count = local.retrains && local.config.retraining.on_new_data ? 1 : 0

  bucket      = module.bucket["data"].name
  eventbridge = true
}
