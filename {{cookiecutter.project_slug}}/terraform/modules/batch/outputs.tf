output "state_machine_arn" {
  description = "ARN of the state machine: start an execution of it for a run."
  value       = aws_sfn_state_machine.this.arn
}

output "schedule_group" {
  description = "Group of the schedule, by which its metrics are told."
  value       = aws_scheduler_schedule_group.this.name
}
