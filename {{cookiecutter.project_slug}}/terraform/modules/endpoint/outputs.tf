output "name" {
  description = "Name of the endpoint, known once it is in service."
  value       = aws_sagemaker_endpoint.this.name
}

output "config_name" {
  description = "Name of the config that the endpoint is to have."
  value       = aws_sagemaker_endpoint_configuration.this.name
}

output "variant_name" {
  description = "Name of the variant that answers."
  value       = local.variant
}
