output "artifact_bucket" {
  description = "Bucket of data, code bundles and models."
  value       = aws_s3_bucket.artifacts.bucket
}

output "kms_key_arn" {
  description = "Key that encrypts them."
  value       = aws_kms_key.this.arn
}

output "model_package_group" {
  description = "Group of the model's versions in the SageMaker Model Registry."
  value       = aws_sagemaker_model_package_group.this.model_package_group_name
}

output "image_repository_url" {
  description = "Where container images are pushed; null with a managed container."
  value       = one(aws_ecr_repository.this[*].repository_url)
}
