variable "instance_types" {
  description = "Instance types of one endpoint config or job."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for type in var.instance_types : can(regex("^ml\\.[a-z0-9-]+\\.[a-z0-9]+$", type))])
    error_message = "instance_type in config/<environment>.yaml must be one of SageMaker's, such as ml.m5.large."
  }
}

variable "kms_key_arn" {
  description = "Key for their disks."
  type        = string
  nullable    = false
}
