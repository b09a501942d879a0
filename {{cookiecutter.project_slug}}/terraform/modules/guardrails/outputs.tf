output "statements" {
  description = "Statements for the policy of a role, as JSON texts."
  value       = [for statement in local.statements : jsonencode(statement)]

  precondition {
    condition     = length(local.unknown) == 0
    error_message = "condition_keys.json has no such pair of action and key: ${join(", ", local.unknown)}. An action without the key would be denied altogether."
  }
}
