output "platform" {
  description = "What the SSM parameter /<project>/<environment>/platform holds."
  value       = local.facts
}
