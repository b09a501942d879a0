output "url" {
  description = "Address to POST rows to."
  value       = "${aws_api_gateway_stage.this.invoke_url}/${aws_api_gateway_resource.predictions.path_part}"
}

output "usage_plan_id" {
  description = "Usage plan that keys are added to; null when callers sign with IAM."
  value       = one(aws_api_gateway_usage_plan.this[*].id)
}
