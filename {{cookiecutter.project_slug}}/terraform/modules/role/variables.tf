variable "name" {
  description = "Name of the role."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 64
    error_message = "name must have at most 64 characters."
  }
}

variable "project" {
  description = "Use case: path of the role."
  type        = string
  nullable    = false
}

variable "purpose" {
  description = "What the role is for."
  type        = string
  nullable    = false
}

variable "service" {
  description = "AWS service that takes the role, such as `sagemaker.amazonaws.com`; null for people."
  type        = string
  default     = null
}

variable "account" {
  description = "The service takes the role for resources of this account alone; null where it does not say for whose (AWS Backup, API Gateway, CloudTrail)."
  type        = string
  default     = null

  validation {
    condition     = var.account == null || can(regex("^[0-9]{12}$", var.account))
    error_message = "account must hold 12 digits."
  }

  validation {
    condition     = var.account != null || var.service == null || contains(["apigateway.amazonaws.com", "backup.amazonaws.com", "cloudtrail.amazonaws.com"], coalesce(var.service, "people"))
    error_message = "account must be given: of the services only AWS Backup, API Gateway and CloudTrail do not say for which account they act."
  }
}

variable "people" {
  description = "ARNs of roles or users that may take the role, without a wildcard; empty for a service."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.people : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "people in config/<environment>.yaml must be ARNs of IAM roles or users, such as arn:aws:iam::111122223333:role/analysts, without a wildcard."
  }

  validation {
    condition     = (var.service == null) != (length(var.people) == 0)
    error_message = "a role is for a service or for people: give one of the two."
  }
}

variable "statements" {
  description = "Statements of the role's policy, as JSON texts."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.statements) > 0 && alltrue([for statement in var.statements : can(jsondecode(statement).Effect)])
    error_message = "statements must be JSON objects with an Effect; at least one."
  }
}

variable "id_statements" {
  description = "Statements on what has an id of AWS's choosing, such as keys and subnets: a policy of their own, so that a plan can show the other one."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for statement in var.id_statements : can(jsondecode(statement).Effect)])
    error_message = "id_statements must be JSON objects with an Effect."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the role; null for none."
  type        = string
  default     = null
}
