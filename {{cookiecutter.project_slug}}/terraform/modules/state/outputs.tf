output "bucket" {
  description = "Name of the bucket of all states."
  value       = coalesce(local.existing.state_bucket, var.config.state.bucket, "terraform-state-${var.config.aws_account}-${var.config.aws_region}")
}

output "table" {
  description = "Name of the table that locks states; null where a lock file in the bucket does."
  value       = var.config.state.lock == "s3" ? null : local.table
}
