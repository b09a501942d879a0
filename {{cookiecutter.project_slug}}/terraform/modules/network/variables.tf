variable "name" {
  description = "What names begin with: project and environment."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region; zones are named by it."
  type        = string
  nullable    = false
}

variable "account" {
  description = "AWS account: of others, no bucket can be reached through the S3 endpoint but that in which AWS keeps images."
  type        = string
  nullable    = false
}

variable "log_kms_key_arn" {
  description = "Key of the flow log."
  type        = string
  nullable    = false
}

variable "settings" {
  description = "Section `network` of config/: a new VPC, or an existing one by `vpc_id` with its private `subnet_ids`."
  nullable    = false

  type = object({
    vpc_id              = optional(string, "")
    subnet_ids          = optional(list(string), [])
    route_table_ids     = optional(list(string), [])
    cidr                = optional(string, "10.20.0.0/16")
    peer_cidrs          = optional(list(string), [])
    zones               = optional(list(string), ["a", "b"])
    nat                 = optional(bool, false)
    interface_endpoints = optional(list(string), [])
    existing_endpoints  = optional(list(string), [])
    create_endpoints    = optional(bool, true)
    flow_log_days       = optional(number, 365)
  })

  validation {
    condition     = can(regex("^(vpc-[0-9a-f]{8,17})?$", var.settings.vpc_id))
    error_message = "network.vpc_id in config/<environment>.yaml must be the id of a VPC, such as vpc-0123456789abcdef0, or blank for a new one."
  }

  validation {
    condition     = var.settings.vpc_id == "" || length(distinct(var.settings.subnet_ids)) >= 2
    error_message = "network.subnet_ids in config/<environment>.yaml must name two private subnets or more of network.vpc_id, in different zones."
  }

  validation {
    condition     = var.settings.vpc_id != "" || length(var.settings.subnet_ids) == 0
    error_message = "network.subnet_ids in config/<environment>.yaml belong to an existing VPC: give network.vpc_id too, or take them out."
  }

  validation {
    condition = alltrue([
      can(regex("^[0-9.]+/(1[6-9]|2[0-2])$", var.settings.cidr)),
      try(cidrsubnet(var.settings.cidr, 0, 0) == var.settings.cidr, false),
    ])
    error_message = "network.cidr in config/<environment>.yaml must be a block of /16 to /22 that begins where such a block does, such as 10.20.0.0/16: a subnet per zone is cut from it, and one more with NAT."
  }

  validation {
    condition     = alltrue([for cidr in var.settings.peer_cidrs : can(regex("^[0-9.]+/", cidr)) && can(cidrhost(cidr, 0))])
    error_message = "network.peer_cidrs in config/<environment>.yaml must be IPv4 blocks, such as 10.0.0.0/8."
  }

  validation {
    condition     = var.settings.vpc_id != "" || length(distinct(var.settings.zones)) >= 2
    error_message = "network.zones in config/<environment>.yaml must name two availability zones or more, so that one may fail: [a, b], say."
  }

  validation {
    condition     = alltrue([for zone in var.settings.zones : can(regex("^[a-f]$", zone))])
    error_message = "network.zones in config/<environment>.yaml must be letters of availability zones, a to f."
  }

  validation {
    condition     = !(var.settings.nat && var.settings.vpc_id != "")
    error_message = "network.nat in config/<environment>.yaml is for a new VPC: an existing one has its own way out, or none. Set it to false."
  }

  validation {
    condition     = alltrue([for service in var.settings.interface_endpoints : can(regex("^[a-z0-9-]+([.][a-z0-9-]+)*$", service)) && !contains(["s3", "dynamodb"], service)])
    error_message = "network.interface_endpoints in config/<environment>.yaml must be names of services without region, such as sagemaker.api or logs; s3 needs none, it has its gateway."
  }

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.settings.flow_log_days)
    error_message = "network.flow_log_days in config/<environment>.yaml must be a retention that CloudWatch Logs has: 30, 90, 180, 365, 731, ..."
  }
}

variable "project" {
  description = "Use case: path of the role that writes the flow log."
  type        = string
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the role; null for none."
  type        = string
  default     = null
}
