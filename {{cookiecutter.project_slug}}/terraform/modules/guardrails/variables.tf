variable "instance_types" {
  description = "Instance types that may be started, with wildcards such as `ml.m5.*`."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for type in var.instance_types : can(regex("^ml\\.[a-z0-9]+\\.[a-z0-9*]+$", type))])
    error_message = "instance_types in config/<environment>.yaml must be instance types of SageMaker, such as ml.m5.large or ml.m5.*; at least one."
  }
}

variable "may_decide" {
  description = "Whether the role may approve and reject models; all others register pending versions only."
  type        = bool
  default     = false
  nullable    = false
}
