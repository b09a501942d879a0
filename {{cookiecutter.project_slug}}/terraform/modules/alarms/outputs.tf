output "names" {
  description = "Names of the alarms, without the one that notifies."
  value       = local.names
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
