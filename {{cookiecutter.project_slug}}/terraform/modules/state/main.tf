# Names only: terraform/bootstrap/account makes bucket and table, terraform/bootstrap/usecase lets jobs use them. The Python code
# that calls Terraform derives the same names.
locals {
  # Of an ARN, the name at its end; of `create` and `none`, nothing.
  existing = {
    for part in ["state_bucket", "lock_table"] :
    part => contains(["create", "none"], var.config.account[part]) ? "" : regex("[^:/]*$", var.config.account[part])
  }

  table = coalesce(local.existing.lock_table, var.config.state.table, "terraform-locks")
}
