variable "config" {
  description = "Settings of the environment, as module `settings` gives them."
  type = object({
    aws_account = string
    aws_region  = string
    account     = object({ state_bucket = string, lock_table = string })
    state       = object({ bucket = string, lock = string, table = string })
  })
  nullable = false

  validation {
    condition     = contains(["s3", "dynamodb", "both"], var.config.state.lock)
    error_message = "state.lock in config/<environment>.yaml must be s3, dynamodb or both."
  }

  validation {
    condition     = var.config.account.state_bucket != "none" || var.config.state.bucket != ""
    error_message = "account.state_bucket in config/<environment>.yaml is none, and Terraform needs a bucket: put create, or the name of one that exists."
  }

  validation {
    condition     = var.config.account.lock_table != "none" || var.config.state.table != "" || var.config.state.lock == "s3"
    error_message = "account.lock_table in config/<environment>.yaml is none, and state.lock asks for a table: put create, the name of one that exists, or state.lock: s3."
  }

  validation {
    condition = alltrue([for name in [var.config.account.state_bucket, var.config.state.bucket] :
      can(regex("^(arn:aws[a-z-]*:s3:::)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", name))
    ])
    error_message = "account.state_bucket and state.bucket in config/<environment>.yaml must be the name of a bucket: 3 to 63 characters a-z, 0-9, dots and hyphens."
  }

  validation {
    condition = alltrue([for name in [var.config.account.lock_table, var.config.state.table] :
      can(regex("^(arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/)?([a-zA-Z0-9_.-]{3,255})?$", name))
    ])
    error_message = "account.lock_table and state.table in config/<environment>.yaml must be the name of a table of DynamoDB: 3 to 255 letters, digits, dots, hyphens and underscores."
  }
}
