variable "environment" {
  description = "Environment: the name of its file in config/."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "qa", "prod"], var.environment)
    error_message = "environment must be dev, qa or prod."
  }

  # Reads the file itself: this stops a plan before the provider asks for credentials, and local.config comes after it.
  validation {
    condition = !contains(["dev", "qa", "prod"], var.environment) || can(
      regex("^[0-9]{12}$", yamldecode(file("${local.config_dir}/${var.environment}.yaml")).aws_account)
    )
    error_message = "config/${var.environment}.yaml: aws_account must hold the 12 digits of the account, in quotes."
  }
}

variable "root" {
  description = "Root that asks, for the tag ManagedBy: platform, say."
  type        = string
  nullable    = false
}

variable "config_dir" {
  description = "Folder of the settings, when it is not the repository's config/."
  type        = string
  default     = null
}
