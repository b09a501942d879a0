output "arn" {
  description = "ARN of the role, known once its policies stand: who waits for it finds a role that can work."
  value       = aws_iam_role.this.arn
  depends_on  = [aws_iam_role_policy.this, aws_iam_role_policy.ids]
}

output "name" {
  description = "Name of the role."
  value       = aws_iam_role.this.name
}
