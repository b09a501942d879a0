locals {
  # SageMaker sends 1 or 0 of these with each request, so that their average is the share of requests.
  errors = { "errors-4xx" = "Invocation4XXErrors", "errors-5xx" = "Invocation5XXErrors" }

  latency_ms = { p90 = var.thresholds.latency_p90_ms, p99 = var.thresholds.latency_p99_ms }
}

# No actions here: who uses the alarms decides, a roll-out that is taken back or a composite alarm that notifies once.
resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.errors

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "More than ${var.thresholds.errors_percent} % of the requests are answered with an error: ${each.value}"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.errors_percent
  evaluation_periods  = var.thresholds.evaluation_periods
  treat_missing_data  = "notBreaching" # no requests, no errors

  metric_query {
    id          = "percent"
    expression  = "100 * share"
    label       = "${each.value} (%)"
    return_data = true
  }

  metric_query {
    id = "share"

    metric {
      namespace   = "AWS/SageMaker"
      metric_name = each.value
      dimensions  = var.dimensions
      stat        = "Average"
      period      = var.thresholds.period_seconds
    }
  }

  # A roll-out needs the new alarm before it, and the old one until it is over.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  for_each = local.latency_ms

  alarm_name          = "${var.name}-latency-${each.key}"
  alarm_description   = "The ${each.key} of the model's latency is above ${each.value} ms"
  namespace           = "AWS/SageMaker"
  metric_name         = "ModelLatency"
  dimensions          = var.dimensions
  extended_statistic  = each.key
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value * 1000 # SageMaker counts microseconds
  period              = var.thresholds.period_seconds
  evaluation_periods  = var.thresholds.evaluation_periods
  treat_missing_data  = "notBreaching"

  lifecycle {
    create_before_destroy = true
  }
}
