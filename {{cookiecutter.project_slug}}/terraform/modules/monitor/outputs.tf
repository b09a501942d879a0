output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "log_group_name" {
  description = "Its log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "schedule_group" {
  description = "Group of the schedule, by which its metrics are told."
  value       = aws_scheduler_schedule_group.this.name
}

output "drift_alarm" {
  description = "Name of the alarm on drift, which notifies."
  value       = aws_cloudwatch_composite_alarm.drift.alarm_name
}

output "alarms" {
  description = "Names of the alarms on the monitor itself and on unusual predictions, which do not notify."
  value = concat(
    [for name, alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name if !startswith(name, "drift")],
    [for alarm in aws_cloudwatch_metric_alarm.anomaly : alarm.alarm_name],
  )
}

output "graphs" {
  description = "Graphs for the dashboard, by title: metrics as CloudWatch lists them, as a JSON text."
  value = { for title, metrics in {
    "Rows per window" = [
      for metric in ["MonitoredRows", "Predictions"] : [local.namespace, metric, "Endpoint", var.endpoint_name, { stat = "Sum", period = local.window }]
    ]
    "Drift: columns, and 1 for a window that drifted, was too small or failed" = [
      for metric in ["DriftedColumns", "DriftedWindow", "InsufficientWindow", "MonitorFailed"] :
      [local.namespace, metric, "Endpoint", var.endpoint_name, { stat = "Maximum", period = local.window }]
    ]
    "Predictions: their mean, and how far their distribution is from that in training" = [
      for metric in ["PredictionMean", "PredictionEffect"] : [local.namespace, metric, "Endpoint", var.endpoint_name, { stat = "Average", period = local.window }]
    ]
  } : title => jsonencode(metrics) }
}
