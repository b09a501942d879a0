variable "name" {
  description = "Name of API and firewall."
  type        = string
  nullable    = false
}

variable "project" {
  description = "Use case: path of the role."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment: name of the stage, and of the file in config/ for messages."
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

variable "endpoint_name" {
  description = "Endpoint that answers."
  type        = string
  nullable    = false
}

variable "mode" {
  description = "Mode of the endpoint: it must answer at once."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["realtime", "serverless"], var.mode)
    error_message = "config/${var.environment}.yaml: gateway.enabled needs an endpoint that answers at once: set serving.mode: realtime or serverless, or gateway.enabled: false."
  }
}

variable "contract" {
  description = "Content of data_contract.yaml: requests are held against its features."
  type        = any
  nullable    = false

  validation {
    condition     = try(length([for field in var.contract.schema.fields : field if field.role == "feature"]) > 0, false)
    error_message = "data_contract.yaml names no feature: make it with `make contract data=FILE target=COLUMN`."
  }
}

variable "gateway" {
  description = "`gateway` of the settings. daily_quota: 0 for none, only with keys; rate_limit_per_5_minutes: of one address."
  type = object({
    auth                     = optional(string, "iam")
    requests_per_second      = optional(number, 50)
    burst                    = optional(number, 100)
    daily_quota              = optional(number, 0)
    rate_limit_per_5_minutes = optional(number, 2000)
    maximum_body_kb          = optional(number, 64)
    log_days                 = optional(number, 365)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["iam", "key"], var.gateway.auth)
    error_message = "config/${var.environment}.yaml: gateway.auth must be iam or key: an API without either would be open to everybody."
  }

  validation {
    condition     = var.gateway.daily_quota >= 0 && (var.gateway.daily_quota == 0 || var.gateway.auth == "key")
    error_message = "config/${var.environment}.yaml: gateway.daily_quota counts by key: set gateway.auth: key, or gateway.daily_quota: 0."
  }

  validation {
    condition     = var.gateway.requests_per_second >= 1 && var.gateway.burst >= var.gateway.requests_per_second
    error_message = "config/${var.environment}.yaml: gateway.requests_per_second must be 1 or more, and gateway.burst at least as much."
  }

  validation {
    condition     = var.gateway.rate_limit_per_5_minutes >= 10 && var.gateway.rate_limit_per_5_minutes <= 2000000000
    error_message = "config/${var.environment}.yaml: gateway.rate_limit_per_5_minutes must be 10 to 2000000000."
  }

  validation {
    condition     = var.gateway.maximum_body_kb >= 1 && var.gateway.maximum_body_kb <= 64
    error_message = "config/${var.environment}.yaml: gateway.maximum_body_kb must be 1 to 64: the firewall reads no more of a request."
  }
}

variable "log_kms_key_arn" {
  description = "Key for logs."
  type        = string
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the role; null for none."
  type        = string
  default     = null
}
