locals {
  serverless = var.serving.mode == "serverless"
  captured   = var.serving.mode == "realtime" && var.capture.percentage > 0 # files of asynchronous requests stay in S3 anyway
  shadowed   = var.shadow_model_name == null ? [] : [var.shadow_model_name]

  # A roll-out recognizes its variant by this name: it must never change.
  variant = "AllTraffic"
}

resource "aws_sagemaker_endpoint_configuration" "this" {
  name_prefix = "${var.name}-"
  kms_key_arn = local.serverless ? null : var.volume_kms_key_arn # serverless has no disks of the account

  production_variants {
    variant_name           = local.variant
    model_name             = var.model_name
    initial_variant_weight = 1
    instance_type          = local.serverless ? null : var.serving.instance_type
    initial_instance_count = local.serverless ? null : var.serving.instance_count

    dynamic "serverless_config" {
      for_each = local.serverless ? [var.serverless] : []

      content {
        memory_size_in_mb = serverless_config.value.memory_mb
        max_concurrency   = serverless_config.value.max_concurrency
      }
    }
  }

  dynamic "shadow_production_variants" {
    for_each = local.shadowed

    content {
      variant_name           = "Shadow"
      model_name             = shadow_production_variants.value
      initial_variant_weight = var.shadow.sampling_percentage / 100 # of the weight above
      instance_type          = coalesce(var.shadow.instance_type, var.serving.instance_type)
      initial_instance_count = var.shadow.instance_count
    }
  }

  dynamic "data_capture_config" {
    for_each = local.captured ? [var.capture] : []

    content {
      enable_capture              = true
      initial_sampling_percentage = data_capture_config.value.percentage
      destination_s3_uri          = "s3://${var.platform.capture_bucket}/${var.project}/capture/"
      kms_key_id                  = var.platform.capture_kms_key_arn

      capture_options {
        capture_mode = "Input"
      }

      capture_options {
        capture_mode = "Output"
      }

      # As text: everything else is kept in base64.
      capture_content_type_header {
        csv_content_types  = ["text/csv"]
        json_content_types = ["application/json"]
      }
    }
  }

  dynamic "async_inference_config" {
    for_each = var.serving.mode == "async" ? [var.async] : []

    content {
      client_config {
        max_concurrent_invocations_per_instance = async_inference_config.value.max_concurrent_invocations
      }

      output_config {
        s3_output_path  = "s3://${var.platform.capture_bucket}/${var.project}/async/answers/"
        s3_failure_path = "s3://${var.platform.capture_bucket}/${var.project}/async/failures/"
        kms_key_id      = var.platform.capture_kms_key_arn

        notification_config {
          success_topic = var.platform.async_topic_arn
          error_topic   = var.platform.async_topic_arn
        }
      }
    }
  }

  # The endpoint goes over to the new config before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}

# SageMaker cannot turn an endpoint of one mode into another.
resource "terraform_data" "mode" {
  triggers_replace = var.serving.mode
}

resource "aws_sagemaker_endpoint" "this" {
  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this.name

  # Only updates are rolled out; there is nothing to protect when the endpoint is made. Serverless endpoints take no part.
  dynamic "deployment_config" {
    for_each = local.serverless ? [] : [var.rollout]

    content {
      dynamic "blue_green_update_policy" {
        for_each = deployment_config.value.type == "rolling" ? [] : [deployment_config.value]
        iterator = rollout

        content {
          termination_wait_in_seconds          = rollout.value.termination_wait_seconds
          maximum_execution_timeout_in_seconds = rollout.value.timeout_seconds

          traffic_routing_configuration {
            type                     = upper(rollout.value.type)
            wait_interval_in_seconds = rollout.value.wait_seconds

            dynamic "canary_size" {
              for_each = rollout.value.type == "canary" ? [rollout.value.size_percent] : []

              content {
                type  = "CAPACITY_PERCENT"
                value = canary_size.value
              }
            }

            dynamic "linear_step_size" {
              for_each = rollout.value.type == "linear" ? [rollout.value.size_percent] : []

              content {
                type  = "CAPACITY_PERCENT"
                value = linear_step_size.value
              }
            }
          }
        }
      }

      dynamic "rolling_update_policy" {
        for_each = deployment_config.value.type == "rolling" ? [deployment_config.value] : []
        iterator = rollout

        content {
          wait_interval_in_seconds             = rollout.value.wait_seconds
          maximum_execution_timeout_in_seconds = rollout.value.timeout_seconds

          maximum_batch_size {
            type  = "CAPACITY_PERCENT"
            value = rollout.value.size_percent
          }
        }
      }

      auto_rollback_configuration {
        dynamic "alarms" {
          for_each = module.guards[0].names

          content {
            alarm_name = alarms.value
          }
        }
      }
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.mode]

    # Terraform's update succeeds even so. The failure here also keeps config and model of the version that goes on.
    postcondition {
      condition     = self.endpoint_config_name == aws_sagemaker_endpoint_configuration.this.name
      error_message = "SageMaker has taken the roll-out back: endpoint ${var.name} goes on with config ${self.endpoint_config_name}. Its alarms and logs, and FailureReason of `aws sagemaker describe-endpoint`, say why; the next deployment tries again."
    }
  }
}

# Watches the new instances alone while they are rolled out, by alarms of their own: those of the whole endpoint would take
# the blame of the version before, and forbid to replace a bad one.
module "guards" {
  source = "../request_alarms"
  count  = local.serverless ? 0 : 1

  name       = aws_sagemaker_endpoint_configuration.this.name
  thresholds = var.alarms

  dimensions = {
    EndpointName       = var.name
    VariantName        = local.variant
    EndpointConfigName = aws_sagemaker_endpoint_configuration.this.name
  }
}
