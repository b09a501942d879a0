output "role_arns" {
  description = "Roles of GitLab's jobs: what AWS_ROLE_ARN is in each."
  value       = { for role, made in aws_iam_role.job : role => made.arn }
}

output "permissions_boundary" {
  description = "Policy that bounds every role of the use case in the environment."
  value       = local.boundary
}

output "trusted" {
  description = "Claims (`sub`) of the jobs that may take each role; none where the runner's role may."
  value       = { for role in keys(local.roles) : role => local.by_token ? flatten(values(local.subjects[role])) : [] }
}
