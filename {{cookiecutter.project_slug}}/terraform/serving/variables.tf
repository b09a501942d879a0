variable "environment" {
  description = "Environment to serve in: dev, qa or prod, the name of its file in config/."
  type        = string
  nullable    = false
}

variable "config_dir" {
  description = "Folder of the settings, when it is not the repository's config/."
  type        = string
  default     = null
}

variable "offline" {
  description = "Plan without an account: credentials are not checked, nothing is asked of AWS."
  type        = bool
  default     = false
  nullable    = false
}

variable "model_package_arn" {
  description = "ARN of the version to serve, in the registry of the environment. null or blank: nothing is there yet, and nothing is made."
  type        = string
  default     = null
}

variable "container_environment" {
  description = "Environment variables of the container: with signing.in_container the public key and the version's signature."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "platform" {
  description = "Facts of terraform/platform, as it writes them to the SSM parameter /<project>/<environment>/platform."
  type = object({
    artifact_bucket      = string
    data_bucket          = string
    capture_bucket       = string
    artifact_kms_key_arn = string
    data_kms_key_arn     = string
    volume_kms_key_arn   = string
    capture_kms_key_arn  = string
    log_kms_key_arn      = string
    subnet_ids           = list(string)
    security_group_ids   = list(string)
    pipeline_role_arn    = string
    processing_role_arn  = string
    training_role_arn    = string
    inference_role_arn   = string
    batch_role_arn       = string
    scheduler_role_arn   = string
    image_repository_url = optional(string, "")
    model_package_group  = string
    alarm_topic_arn      = string
    async_topic_arn      = string
  })
  nullable = false

  validation {
    condition = alltrue([
      for name, arn in var.platform : can(regex("^arn:aws[a-z-]*:(iam|kms|sns):[a-z0-9-]*:[0-9]{12}:.+$", arn)) if endswith(name, "_arn")
    ])
    error_message = "platform: what ends with _arn must be an ARN: deploy terraform/platform, which writes the facts anew."
  }

  validation {
    condition = alltrue([
      for name, arn in var.platform : try(split(":", arn)[4], "") == local.config.aws_account if endswith(name, "_arn")
    ])
    error_message = "platform: the facts are of another account than ${local.config.aws_account}, aws_account of config/${var.environment}.yaml: read them in the account of this environment."
  }

  validation {
    condition = alltrue([
      for name, arn in var.platform : contains(["", local.config.aws_region], try(split(":", arn)[3], "")) if endswith(name, "_arn")
    ])
    error_message = "platform: the facts are of another region than ${local.config.aws_region}, aws_region of config/${var.environment}.yaml: deploy terraform/platform there first."
  }

  validation {
    condition     = var.platform.model_package_group == local.config.model_package_group
    error_message = "platform: the registry is ${var.platform.model_package_group}, model_package_group of config/${var.environment}.yaml is ${local.config.model_package_group}: deploy terraform/platform."
  }
}
