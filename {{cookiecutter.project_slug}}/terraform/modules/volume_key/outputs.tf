output "kms_key_arn" {
  description = "The key; null when an instance has disks that no key can be given for."
  value       = local.takes_none ? null : var.kms_key_arn
}
