output "name" {
  description = "Name of the model, known once it is there."
  value       = aws_sagemaker_model.this.name
}
