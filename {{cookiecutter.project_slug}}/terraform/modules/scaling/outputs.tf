output "policy_names" {
  description = "Names of the scaling policies; none when the bounds are equal."
  value       = concat(aws_appautoscaling_policy.load[*].name, aws_appautoscaling_policy.first_instance[*].name)
}
