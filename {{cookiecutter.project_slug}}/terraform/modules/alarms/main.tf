locals {
  endpoint = { EndpointName = var.endpoint_name }
  variant  = { EndpointName = var.endpoint_name, VariantName = var.variant_name }

  serves    = var.mode != "batch"
  instances = contains(["realtime", "async"], var.mode)
  async     = var.mode == "async"

  # SageMaker counts requests by other names when they wait in a queue.
  invocations = local.async ? "InvocationsProcessed" : "Invocations"

  usual = {
    statistic = "Average"
    period    = var.thresholds.period_seconds
    periods   = var.thresholds.evaluation_periods
    missing   = "notBreaching"
  }
  once = { statistic = "Sum", period = 300, periods = 1, missing = "notBreaching" }

  # By name: whether the mode has it, then what it looks at.
  metrics = {
    cpu = [local.instances, merge(local.usual, {
      namespace = "/aws/sagemaker/Endpoints", metric = "CPUUtilization", dimensions = local.variant, threshold = var.thresholds.cpu_percent,
      about     = "The processors are busy (percent of one core)"
    })]
    memory = [local.serves, merge(local.usual, {
      namespace = "/aws/sagemaker/Endpoints", metric = "MemoryUtilization", dimensions = local.variant, threshold = var.thresholds.memory_percent,
      about     = "The memory is nearly used up (percent)"
    })]
    disk = [local.instances, merge(local.usual, {
      namespace = "/aws/sagemaker/Endpoints", metric = "DiskUtilization", dimensions = local.variant, threshold = var.thresholds.disk_percent,
      about     = "The disks are nearly full (percent)"
    })]
    no-invocations = [local.serves && var.thresholds.no_invocations_hours > 0, {
      namespace = "AWS/SageMaker", metric = local.invocations, dimensions = local.variant, statistic = "Sum", threshold = 1,
      period    = 3600, periods = max(var.thresholds.no_invocations_hours, 1), missing = "breaching",
      about     = "Nobody has asked for ${var.thresholds.no_invocations_hours} hours"
    }]
    backlog-age = [local.async, merge(local.usual, {
      namespace = "AWS/SageMaker", metric = "ApproximateAgeOfOldestRequest", dimensions = local.endpoint, statistic = "Maximum",
      threshold = var.async.max_queue_hours * 3600, about = "A request has waited for ${var.async.max_queue_hours} hours (seconds)"
    })]
    runs-failed = [!local.serves, merge(local.once, {
      namespace = "AWS/States", metric = "ExecutionsFailed", dimensions = { StateMachineArn = try(var.batch.state_machine_arn, "") }, threshold = 0,
      about     = "A batch run has failed"
    })]
    runs-timed-out = [!local.serves, merge(local.once, {
      namespace = "AWS/States", metric = "ExecutionsTimedOut", dimensions = { StateMachineArn = try(var.batch.state_machine_arn, "") }, threshold = 0,
      about     = "A batch run took longer than it may"
    })]
    runs-not-started = [!local.serves, merge(local.once, {
      namespace = "AWS/Scheduler", metric = "InvocationDroppedCount", dimensions = { ScheduleGroup = try(var.batch.schedule_group, "") }, threshold = 0,
      about     = "The schedule could not start a batch run"
    })]
  }

  names = concat(
    flatten(module.requests[*].names),
    [for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name],
    aws_cloudwatch_metric_alarm.capture_stopped[*].alarm_name,
  )
}

module "requests" {
  source = "../request_alarms"
  count  = local.serves ? 1 : 0

  name       = var.name
  dimensions = local.variant
  thresholds = var.thresholds
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, rule in local.metrics : name => rule[1] if rule[0] }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.key == "no-invocations" ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
}

# SageMaker has no metric on what it captures, and goes on answering when it cannot write. What S3 counts below the endpoint's
# prefix tells: 20 captures or more were due in an hour, and not one object came.
resource "aws_s3_bucket_metric" "capture" {
  count = var.capture == null ? 0 : 1

  bucket = var.capture.bucket
  name   = "${var.name}-capture"

  filter {
    prefix = var.capture.prefix
  }
}

resource "aws_cloudwatch_metric_alarm" "capture_stopped" {
  count = var.capture == null ? 0 : 1

  alarm_name          = "${var.name}-capture-stopped"
  alarm_description   = "Requests are answered, but none are captured any more: look at the inference role, the capture bucket and its key"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "stopped"
    expression  = "IF(FILL(requests, 0) * ${var.capture.percentage} / 100 >= 20 AND FILL(objects, 0) == 0, 1, 0)"
    label       = "Captures are due, and none was written"
    return_data = true
  }

  metric_query {
    id = "requests"

    metric {
      namespace   = "AWS/SageMaker"
      metric_name = "Invocations"
      dimensions  = local.variant
      stat        = "Sum"
      period      = 3600
    }
  }

  metric_query {
    id = "objects"

    metric {
      namespace   = "AWS/S3"
      metric_name = "PutRequests"
      dimensions  = { BucketName = var.capture.bucket, FilterId = aws_s3_bucket_metric.capture[0].name }
      stat        = "Sum"
      period      = 3600
    }
  }
}

# The only one that notifies: several alarms with one cause are one message.
resource "aws_cloudwatch_composite_alarm" "this" {
  alarm_name        = "${var.name}-unwell"
  alarm_description = "Something is wrong with ${var.name}: dashboard ${var.name} shows what"
  alarm_rule        = join(" OR ", [for name in sort(concat(local.names, var.others.alarms)) : "ALARM(\"${name}\")"])
  alarm_actions     = [var.topic_arn]
  ok_actions        = [var.topic_arn]
}
