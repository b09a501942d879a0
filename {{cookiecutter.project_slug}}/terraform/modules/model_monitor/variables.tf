variable "name" {
  description = "What names of definitions, schedules and the stack begin with."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 41
    error_message = "name must have at most 41 characters: a definition's name adds 22, and SageMaker allows 63."
  }
}

variable "environment" {
  description = "Environment, for messages that name its file in config/."
  type        = string
  nullable    = false
}

variable "endpoint_name" {
  description = "Endpoint whose captured requests are looked at."
  type        = string
  nullable    = false
}

variable "role_arn" {
  description = "Role of the jobs."
  type        = string
  nullable    = false
}

variable "baseline_uri" {
  description = "S3 folder with statistics.json and constraints.json of the version's training rows."
  type        = string
  nullable    = false
}

variable "report_uri" {
  description = "S3 folder for reports, a folder in it for each kind."
  type        = string
  nullable    = false
}

variable "platform" {
  description = "Facts of terraform/platform: network and keys; the key of disks is null for instances with disks of their own (module volume_key)."
  type = object({
    subnet_ids          = list(string)
    security_group_ids  = list(string)
    capture_kms_key_arn = string
    volume_kms_key_arn  = optional(string)
  })
  nullable = false
}

variable "model_monitor" {
  description = "`monitoring.model_monitor` of the settings: which monitors there are, when they run and on what."
  type = object({
    data_quality        = optional(bool, false)
    model_quality       = optional(bool, false)
    bias                = optional(bool, false)
    explainability      = optional(bool, false)
    schedule            = optional(string, "cron(0 * ? * * *)")
    instance_type       = optional(string, "ml.m5.large")
    problem_type        = optional(string, "BinaryClassification")
    ground_truth_uri    = optional(string, "")
    analysis_config_uri = optional(string, "")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^cron\\(0 (\\*|[0-9]{1,2}(/[0-9]{1,2})?) \\? \\* \\* \\*\\)$", var.model_monitor.schedule))
    error_message = "config/${var.environment}.yaml: monitoring.model_monitor.schedule must begin at full hours, as in cron(0 * ? * * *), each hour, or cron(0 4 ? * * *), each day: SageMaker knows no others."
  }

  validation {
    condition     = !(var.model_monitor.model_quality || var.model_monitor.bias) || can(regex("^s3://.+/.+", var.model_monitor.ground_truth_uri))
    error_message = "config/${var.environment}.yaml: monitoring.model_monitor.ground_truth_uri must be the s3:// folder where labels arrive: model_quality and bias compare with them."
  }

  validation {
    condition     = !(var.model_monitor.bias || var.model_monitor.explainability) || can(regex("^s3://.+/.+", var.model_monitor.analysis_config_uri))
    error_message = "config/${var.environment}.yaml: monitoring.model_monitor.analysis_config_uri must be the s3:// address of a configuration of SageMaker Clarify: bias and explainability need one."
  }

  validation {
    condition     = contains(["BinaryClassification", "MulticlassClassification", "Regression"], var.model_monitor.problem_type)
    error_message = "config/${var.environment}.yaml: monitoring.model_monitor.problem_type must be BinaryClassification, MulticlassClassification or Regression."
  }
}
