variable "name" {
  description = "What the model's name begins with; version and a suffix follow."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,43}$", var.name))
    error_message = "name must have at most 44 letters, digits and hyphens: SageMaker allows 63 with version and suffix."
  }
}

variable "package_arn" {
  description = "ARN of the version to serve, in the registry of the environment."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package/[A-Za-z0-9-]+/[1-9][0-9]*$", var.package_arn))
    error_message = "${var.package_arn} is not the ARN of a version: it must end with model-package/GROUP/NUMBER, as `usecase registry list` shows it."
  }

  validation {
    condition     = try(split(":", var.package_arn)[4], "") == var.registry.account
    error_message = "${var.package_arn} is of another account than ${var.registry.account}, aws_account in config/${var.environment}.yaml: copy the version into this environment's registry first, which `usecase deploy` does."
  }

  validation {
    condition     = try(split(":", var.package_arn)[3], "") == var.registry.region
    error_message = "${var.package_arn} is of another region than ${var.registry.region}, aws_region of config/${var.environment}.yaml: give a version of this region."
  }

  validation {
    condition     = try(split("/", var.package_arn)[1], "") == var.registry.group
    error_message = "${var.package_arn} is of another group than ${var.registry.group}, model_package_group of config/${var.environment}.yaml: give a version of this group."
  }
}

variable "registry" {
  description = "Where versions of the environment are registered."
  type = object({
    account = string
    region  = string
    group   = string
  })
  nullable = false
}

variable "environment" {
  description = "Environment, for messages that name its file in config/."
  type        = string
  nullable    = false
}

variable "container_environment" {
  description = "Environment variables of the container, beside those of the version. No secrets: SageMaker shows them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, value in var.container_environment : length(value) <= 1024])
    error_message = "container_environment: SageMaker takes 1,024 characters of a value at most."
  }
}

variable "role_arn" {
  description = "Role of the container."
  type        = string
  nullable    = false
}

variable "isolated" {
  description = "Whether the container has no network, and its instances stand in the VPC. Only serverless endpoints can have neither."
  type        = bool
  default     = true
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets of the instances, in two zones or more."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must be two or more: give network in config/${var.environment}.yaml two zones or subnets, and deploy terraform/platform."
  }
}

variable "security_group_ids" {
  description = "Security groups of the instances."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.security_group_ids) > 0
    error_message = "security_group_ids must not be empty: terraform/platform makes one."
  }
}
