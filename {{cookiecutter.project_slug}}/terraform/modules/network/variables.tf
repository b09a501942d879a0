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
  description = "AWS account: only its buckets can be reached through the S3 endpoint, but for those that AWS keeps images in."
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
    condition     = var.settings.vpc_id == "" || can(regex("^vpc-[0-9a-f]{8,17}$", var.settings.vpc_id))
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
    condition     = can(cidrhost(var.settings.cidr, 0)) && try(tonumber(split("/", var.settings.cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.settings.cidr)[1]), 99) <= 22
    error_message = "network.cidr in config/<environment>.yaml must be a block of /16 to /22, such as 10.20.0.0/16: six subnets are cut from it."
  }

  validation {
    condition     = alltrue([for cidr in var.settings.peer_cidrs : can(cidrhost(cidr, 0))])
    error_message = "network.peer_cidrs in config/<environment>.yaml must be CIDR blocks, such as 10.0.0.0/8."
  }

  # Two blocks overlap when they are the same as far as the shorter prefix goes.
  validation {
    condition = alltrue([
      for cidr in var.settings.peer_cidrs : try(
        cidrsubnet("${cidrhost(cidr, 0)}/${min(tonumber(split("/", cidr)[1]), tonumber(split("/", var.settings.cidr)[1]))}", 0, 0)
        != cidrsubnet("${cidrhost(var.settings.cidr, 0)}/${min(tonumber(split("/", cidr)[1]), tonumber(split("/", var.settings.cidr)[1]))}", 0, 0),
        true
      )
    ])
    error_message = "network.cidr in config/<environment>.yaml overlaps one of network.peer_cidrs, to which the VPC will be joined: choose another block."
  }

  validation {
    condition = var.settings.vpc_id != "" || (
      length(distinct(var.settings.zones)) >= 2 && length(distinct(var.settings.zones)) <= 3 && alltrue([for zone in var.settings.zones : can(regex("^[a-z]$", zone))])
    )
    error_message = "network.zones in config/<environment>.yaml must be the letters of two or three availability zones, such as [a, b]."
  }

  validation {
    condition     = !(var.settings.nat && var.settings.vpc_id != "")
    error_message = "network.nat in config/<environment>.yaml is for a new VPC: an existing one has its own way out, or none."
  }

  validation {
    condition = (
      var.settings.vpc_id == "" || var.settings.create_endpoints
      || length(setsubtract(concat(["s3"], var.settings.interface_endpoints), var.settings.existing_endpoints)) == 0
    )
    error_message = "the existing VPC lacks endpoints (${join(", ", setsubtract(concat(["s3"], var.settings.interface_endpoints), var.settings.existing_endpoints))}): list those it has under network.existing_endpoints in config/<environment>.yaml, or set network.create_endpoints: true."
  }

  validation {
    condition = (
      var.settings.vpc_id == "" || !var.settings.create_endpoints || contains(var.settings.existing_endpoints, "s3")
      || length(var.settings.route_table_ids) > 0
    )
    error_message = "jobs need a way to S3: list s3 under network.existing_endpoints in config/<environment>.yaml, or name the route tables of the subnets under network.route_table_ids, which get one."
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
