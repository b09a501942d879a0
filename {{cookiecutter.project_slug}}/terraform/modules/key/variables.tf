variable "name" {
  description = "Alias of the key, without `alias/`."
  type        = string
  nullable    = false
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
  description = "AWS services that encrypt with the key by themselves, such as `sns.amazonaws.com`; only for resources of the account."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "readers" {
  description = "ARNs of roles in other accounts that may decrypt: those that copy an approved model into their environment."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.readers : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", arn))])
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
