output "state_bucket" {
  description = "Bucket of all states."
  value       = module.state.bucket
}

output "lock_table" {
  description = "Table that locks states; null without one."
  value       = module.state.table
}

output "oidc_provider_arn" {
  description = "Identity provider of GitLab, if this root makes it."
  value       = one(aws_iam_openid_connect_provider.gitlab[*].arn)
}
