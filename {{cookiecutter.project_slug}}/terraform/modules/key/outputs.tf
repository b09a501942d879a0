output "arn" {
  description = "ARN of the key."
  value       = aws_kms_key.this.arn
}

output "policy" {
  description = "Policy of the key, as JSON."
  value       = aws_kms_key.this.policy
}
