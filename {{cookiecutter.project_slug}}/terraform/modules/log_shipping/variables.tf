variable "name" {
  description = "What names of stream, index and roles begin with."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 51
    error_message = "name must have at most 51 characters: a role's name adds 13, and IAM allows 64."
  }
}

variable "project" {
  description = "Use case: path of the roles, prefix of objects."
  type        = string
  nullable    = false
}

variable "account" {
  description = "AWS account."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
}

variable "log_groups" {
  description = "Log groups whose lines are sent; each must be there."
  type        = list(string)
  nullable    = false
}

variable "domain_arn" {
  description = "Domain of OpenSearch Service that gets the lines. Its policy must let the role `<name>-log-shipping` write, and its fine-grained access control, if it has one, map that role."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:es:[a-z0-9-]+:[0-9]{12}:domain/[a-z0-9-]+$", var.domain_arn))
    error_message = "monitoring.log_shipping.opensearch_domain_arn in config/<environment>.yaml must be the ARN of a domain, arn:aws:es:<region>:<account>:domain/<name>."
  }
}

variable "backup_bucket" {
  description = "Bucket for what the domain does not take."
  type        = string
  nullable    = false
}

variable "platform" {
  description = "Facts of terraform/platform: keys of logs and of the backup bucket."
  type = object({
    capture_kms_key_arn = string
    log_kms_key_arn     = string
  })
  nullable = false
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles; null for none."
  type        = string
  default     = null
}
