output "name" {
  description = "Name of the bucket, known once its policy stands: who waits for it finds a bucket that is closed."
  value       = aws_s3_bucket.this.bucket
  depends_on  = [aws_s3_bucket_policy.this]
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}
