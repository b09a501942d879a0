output "state_bucket" {
  description = "Bucket of all states."
  value       = local.made.state_bucket ? module.state_bucket[0].name : local.state_bucket
}

output "lock_table" {
  description = "Table that locks states; null without one."
  value       = local.locks ? local.lock_table : null
}

output "oidc_provider_arn" {
  description = "Identity provider of GitLab; null with `aws_access.auth: runner_role`."
  value = (
    local.config.aws_access.auth != "oidc" ? null : local.made.oidc_provider ? aws_iam_openid_connect_provider.gitlab[0].arn
    : try(coalesce(local.named.oidc_provider), null)
  )
}
