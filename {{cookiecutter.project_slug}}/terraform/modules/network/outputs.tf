output "vpc_id" {
  description = "The VPC."
  value       = local.vpc_id
}

output "subnet_ids" {
  description = "Private subnets, one per zone."
  value       = local.subnet_ids
}

output "security_group_ids" {
  description = "Security groups of jobs and endpoints of SageMaker."
  value       = [aws_security_group.jobs.id]
}
