locals {
  namespace = "usecase/monitor" # usecase.mlops.monitoring writes these metrics as lines of its log
  endpoint  = { Endpoint = var.endpoint_name }
  window    = var.monitoring.window_minutes * 60

  # By name: what it looks at, and after how many windows.
  alarms = {
    # A window with too little traffic has no verdict and sends no DriftedWindow: CloudWatch then looks at older ones.
    drift-windows = {
      namespace = local.namespace, metric = "DriftedWindow", dimensions = local.endpoint, statistic = "Maximum", comparison = "GreaterThanOrEqualToThreshold", threshold = 1
      period    = local.window, periods = var.retraining.windows, datapoints = var.retraining.violated, missing = "missing"
      about     = "${var.retraining.violated} of the newest ${var.retraining.windows} windows have drifted"
    }
    drift-newest = {
      namespace = local.namespace, metric = "DriftedWindow", dimensions = local.endpoint, statistic = "Maximum", comparison = "GreaterThanOrEqualToThreshold", threshold = 1
      period    = local.window, periods = 1, datapoints = 1, missing = "missing"
      about     = "The newest window has drifted"
    }
    monitor-failed = {
      namespace = local.namespace, metric = "MonitorFailed", dimensions = local.endpoint, statistic = "Maximum", comparison = "GreaterThanOrEqualToThreshold", threshold = 1
      period    = local.window, periods = 1, datapoints = 1, missing = "notBreaching"
      about     = "A window has no verdict, for a reason that the log of ${local.function} tells"
    }
    monitor-errors = {
      namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = local.function }, statistic = "Sum", comparison = "GreaterThanThreshold", threshold = 0
      period    = 3600, periods = 1, datapoints = 1, missing = "notBreaching"
      about     = "The monitor has crashed, or ran out of time or memory"
    }
    monitor-silent = {
      namespace = local.namespace, metric = "MonitoredRows", dimensions = local.endpoint, statistic = "SampleCount", comparison = "LessThanThreshold", threshold = 1
      period    = local.window, periods = 2, datapoints = 2, missing = "breaching"
      about     = "Two windows are over, and there is no report on them"
    }
    unmonitored = {
      namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = "${var.name}-unmonitored" }, statistic = "Maximum"
      period    = 300, periods = 1, datapoints = 1, missing = "notBreaching", comparison = "GreaterThanThreshold", threshold = 0
      about     = "Windows were given up: the queue ${var.name}-unmonitored holds their times, with which the function can be started again"
    }
  }

  # What CloudWatch learns the usual course of: number of predictions, and what they were.
  courses = {
    volume = {
      namespace  = "AWS/SageMaker", metric = "Invocations", statistic = "Sum", about = "number of predictions"
      dimensions = { EndpointName = var.endpoint_name, VariantName = var.variant_name }
    }
    distribution = {
      namespace  = local.namespace, metric = "PredictionEffect", statistic = "Maximum", about = "distribution of the predictions"
      dimensions = local.endpoint
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.datapoints
  treat_missing_data  = each.value.missing
}

# A course with hours and weekdays of its own, from which a fixed threshold cannot tell trouble. It takes CloudWatch some days of
# traffic to learn; until then the alarm has insufficient data.
resource "aws_cloudwatch_metric_alarm" "anomaly" {
  for_each = { for name, course in local.courses : name => course if var.monitoring.anomaly_band > 0 }

  alarm_name          = "${var.name}-unusual-${each.key}"
  alarm_description   = "The ${each.value.about} has left its usual course by more than ${var.monitoring.anomaly_band} standard deviations"
  comparison_operator = "LessThanLowerOrGreaterThanUpperThreshold"
  threshold_metric_id = "band"
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "band"
    expression  = "ANOMALY_DETECTION_BAND(seen, ${var.monitoring.anomaly_band})"
    label       = "usual"
    return_data = true
  }

  metric_query {
    id          = "seen"
    return_data = true

    metric {
      namespace   = each.value.namespace
      metric_name = each.value.metric
      dimensions  = each.value.dimensions
      stat        = each.value.statistic
      period      = local.window
    }
  }
}

# What is told of drift, to the owner here and to GitLab by terraform/platform: enough windows, and the newest among them, so that a
# drift that is over trains nothing.
resource "aws_cloudwatch_composite_alarm" "drift" {
  alarm_name        = "${var.name}-drift"
  alarm_description = "The traffic of ${var.endpoint_name} has drifted: the reports below ${var.report_uri} name the columns"
  alarm_rule        = join(" AND ", [for name in ["drift-newest", "drift-windows"] : "ALARM(\"${aws_cloudwatch_metric_alarm.this[name].alarm_name}\")"])
  alarm_actions     = [var.platform.alarm_topic_arn]
  ok_actions        = [var.platform.alarm_topic_arn]
}
