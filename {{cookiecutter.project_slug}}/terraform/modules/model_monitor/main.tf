locals {
  reports = trimsuffix(var.report_uri, "/")
  every   = { data_quality = var.model_monitor.data_quality, model_quality = var.model_monitor.model_quality, bias = var.model_monitor.bias, explainability = var.model_monitor.explainability }
  on      = [for kind in sort(keys(local.every)) : kind if local.every[kind]]
  stacked = setsubtract(local.on, ["data_quality"])

  analyzer = split(":", data.aws_sagemaker_prebuilt_ecr_image.analyzer.registry_path)[0]
  clarify  = data.aws_sagemaker_prebuilt_ecr_image.clarify.registry_path

  # A definition cannot be changed, and the schedule goes over to a new one: its name follows from its content.
  content = [var.baseline_uri, var.report_uri, var.endpoint_name, var.model_monitor, var.role_arn]
  version = substr(sha256(jsonencode(local.content)), 0, 8)

  max_seconds = 3000 # within the hour until the next run
}

# Tables of AWS's own accounts by region, within the provider.
data "aws_sagemaker_prebuilt_ecr_image" "analyzer" {
  repository_name = "sagemaker-model-monitor-analyzer"
}

data "aws_sagemaker_prebuilt_ecr_image" "clarify" {
  repository_name = "sagemaker-clarify-processing"
  image_tag       = "1.0"
}

resource "aws_sagemaker_data_quality_job_definition" "this" {
  count = local.every.data_quality ? 1 : 0

  name     = "${var.name}-data-quality-${local.version}"
  role_arn = var.role_arn

  data_quality_app_specification {
    image_uri = local.analyzer
  }

  data_quality_baseline_config {
    constraints_resource {
      s3_uri = "${var.baseline_uri}/constraints.json"
    }

    statistics_resource {
      s3_uri = "${var.baseline_uri}/statistics.json"
    }
  }

  data_quality_job_input {
    endpoint_input {
      endpoint_name = var.endpoint_name
      local_path    = "/opt/ml/processing/input/endpoint"
    }
  }

  data_quality_job_output_config {
    kms_key_id = var.platform.capture_kms_key_arn

    monitoring_outputs {
      s3_output {
        s3_uri     = "${local.reports}/data-quality"
        local_path = "/opt/ml/processing/output"
      }
    }
  }

  job_resources {
    cluster_config {
      instance_count    = 1
      instance_type     = var.model_monitor.instance_type
      volume_size_in_gb = 20
      volume_kms_key_id = var.platform.volume_kms_key_arn
    }
  }

  network_config {
    enable_inter_container_traffic_encryption = true
    enable_network_isolation                  = true

    vpc_config {
      subnets            = var.platform.subnet_ids
      security_group_ids = var.platform.security_group_ids
    }
  }

  stopping_condition {
    max_runtime_in_seconds = local.max_seconds
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_monitoring_schedule" "this" {
  count = local.every.data_quality ? 1 : 0

  name = "${var.name}-data-quality"

  monitoring_schedule_config {
    monitoring_job_definition_name = aws_sagemaker_data_quality_job_definition.this[0].name
    monitoring_type                = "DataQuality"

    schedule_config {
      schedule_expression = var.model_monitor.schedule
    }
  }
}

# Terraform has no resources for the others.
resource "aws_cloudformation_stack" "this" {
  #checkov:skip=CKV_AWS_124:whoever deploys waits for the stack, and a failure fails the apply
  count = length(local.stacked) > 0 ? 1 : 0

  name          = "${var.name}-model-monitor"
  template_body = file("${path.module}/stack.yaml")
  on_failure    = "ROLLBACK"

  parameters = {
    Name              = var.name
    EndpointName      = var.endpoint_name
    RoleArn           = var.role_arn
    ModelQuality      = tostring(local.every.model_quality)
    Bias              = tostring(local.every.bias)
    Explainability    = tostring(local.every.explainability)
    AnalyzerImage     = local.analyzer
    ClarifyImage      = local.clarify
    ProblemType       = var.model_monitor.problem_type
    GroundTruthUri    = coalesce(var.model_monitor.ground_truth_uri, "s3://none/none")
    AnalysisConfigUri = coalesce(var.model_monitor.analysis_config_uri, "s3://none/none")
    ReportUri         = local.reports
    OutputKeyArn      = var.platform.capture_kms_key_arn
    VolumeKeyArn      = coalesce(var.platform.volume_kms_key_arn, "none")
    InstanceType      = var.model_monitor.instance_type
    Subnets           = join(",", var.platform.subnet_ids)
    SecurityGroups    = join(",", var.platform.security_group_ids)
    Schedule          = var.model_monitor.schedule
    MaxSeconds        = tostring(local.max_seconds)
  }
}
