output "role_arns" {
  description = "Roles of GitLab's jobs: what AWS_ROLE_ARN is in each."
  value       = { for role, made in aws_iam_role.job : role => made.arn }
}

output "permissions_boundary" {
  description = "Policy that bounds every role of the use case in the environment."
  value       = local.boundary
}
