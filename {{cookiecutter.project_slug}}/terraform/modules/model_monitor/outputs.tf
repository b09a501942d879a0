output "kinds" {
  description = "Which monitors there are."
  value       = local.on
}

output "stack_name" {
  description = "CloudFormation stack of all but data quality; null without one."
  value       = one(aws_cloudformation_stack.this[*].name)
}
