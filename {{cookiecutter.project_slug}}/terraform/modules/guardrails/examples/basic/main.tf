module "guardrails" {
  source = "../.."

  instance_types = ["ml.m5.*"]
}

output "statements" {
  description = "Statements for the policy of a role."
  value       = module.guardrails.statements
}
