variable "environment" {
  description = "Environment whose jobs get roles: dev, qa or prod, the name of its file in config/."
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
