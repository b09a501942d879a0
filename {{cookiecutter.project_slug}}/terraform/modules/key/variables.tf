variable "name" {
  description = "Alias of the key, without `alias/`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,200}$", var.name)) && !startswith(var.name, "aws")
    error_message = "name must have 1 to 200 letters, digits, hyphens or underscores and not begin with aws, which KMS keeps for itself."
  }
}

variable "purpose" {
  description = "What the key encrypts, as people read it in the console."
  type        = string
  nullable    = false
}

variable "account" {
  description = "AWS account of the key: its IAM policies decide who may use it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must hold 12 digits."
  }
}

variable "services" {
  description = "AWS services that use the key by themselves for resources of the account, such as `cloudwatch.amazonaws.com` for alarms that publish to an encrypted topic."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for service in var.services : can(regex("^[a-z0-9-]+[.]amazonaws[.]com$", service))])
    error_message = "services must be names such as cloudwatch.amazonaws.com."
  }

  validation {
    condition     = length(setintersection(var.services, ["events.amazonaws.com", "logs.amazonaws.com"])) == 0
    error_message = "EventBridge and CloudWatch Logs name no account when they ask for a key: set events or log_groups_of instead."
  }
}

variable "log_groups_of" {
  description = "Region whose log groups are encrypted with the key; null for none."
  type        = string
  default     = null
}

variable "events" {
  description = "Whether rules of EventBridge send to queues or topics that are encrypted with the key."
  type        = bool
  default     = false
  nullable    = false
}

variable "readers" {
  description = "Roles in other accounts that read objects in S3 that the key encrypts."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for role in var.readers : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", role))])
    error_message = "readers must be ARNs of roles, without a wildcard."
  }
}

variable "deletion_days" {
  description = "Days in which a deletion of the key can be taken back."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.deletion_days >= 7 && var.deletion_days <= 30
    error_message = "deletion_days must be 7 to 30, as KMS has it."
  }
}
