locals {
  scaled  = var.scaling.minimum < var.scaling.maximum || length(var.scaling.schedules) > 0 ? 1 : 0
  by_size = var.scaling.minimum < var.scaling.maximum ? 1 : 0
  async   = var.mode == "async"
  from_0  = local.async && anytrue([for bounds in concat([var.scaling], values(var.scaling.schedules)) : bounds.minimum == 0]) ? local.scaled : 0
}

# Scaling is taken away before the endpoint changes and set up anew after it: SageMaker refuses to change the instance type of
# what is scaled, and schedules move the bounds, which Terraform therefore leaves alone until the settings change.
resource "terraform_data" "bounds" {
  count = local.scaled

  triggers_replace = [var.instance_type, var.scaling.minimum, var.scaling.maximum]
}

resource "aws_appautoscaling_target" "this" {
  count = local.scaled

  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${var.endpoint_name}/variant/${var.variant_name}"
  min_capacity       = var.scaling.minimum
  max_capacity       = var.scaling.maximum

  lifecycle {
    ignore_changes       = [min_capacity, max_capacity]
    replace_triggered_by = [terraform_data.bounds]
  }
}

resource "aws_appautoscaling_policy" "load" {
  count = local.by_size

  name               = "${var.name}-load"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = local.async ? var.async.max_concurrent_invocations : var.scaling.invocations_per_instance
    scale_in_cooldown  = var.scaling.scale_in_cooldown_seconds
    scale_out_cooldown = var.scaling.scale_out_cooldown_seconds

    dynamic "predefined_metric_specification" {
      for_each = local.async ? [] : ["SageMakerVariantInvocationsPerInstance"] # per minute

      content {
        predefined_metric_type = predefined_metric_specification.value
      }
    }

    # No more requests in the queue, per instance, than it works on at a time.
    dynamic "customized_metric_specification" {
      for_each = local.async ? ["ApproximateBacklogSizePerInstance"] : []

      content {
        namespace   = "AWS/SageMaker"
        metric_name = customized_metric_specification.value
        statistic   = "Average"

        dimensions {
          name  = "EndpointName"
          value = var.endpoint_name
        }
      }
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.bounds] # it goes with its target
  }
}

# Without an instance there is no backlog per instance: the first one is started by this.
resource "aws_appautoscaling_policy" "first_instance" {
  count = local.from_0

  name               = "${var.name}-first-instance"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Average"
    cooldown                = var.scaling.scale_in_cooldown_seconds # as long as an instance may take to start

    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 1
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.bounds]
  }
}

resource "aws_cloudwatch_metric_alarm" "backlog_without_instance" {
  count = local.from_0

  alarm_name          = "${var.name}-backlog-without-instance"
  alarm_description   = "Requests wait and there is no instance: starts one"
  namespace           = "AWS/SageMaker"
  metric_name         = "HasBacklogWithoutCapacity"
  dimensions          = { EndpointName = var.endpoint_name }
  statistic           = "Average"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "missing" # the metric stops as soon as there is an instance
  alarm_actions       = [aws_appautoscaling_policy.first_instance[0].arn]
}

resource "aws_appautoscaling_scheduled_action" "this" {
  for_each = var.scaling.schedules

  name               = "${var.name}-${each.key}"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  schedule           = each.value.cron
  timezone           = "UTC"

  scalable_target_action {
    min_capacity = each.value.minimum
    max_capacity = each.value.maximum
  }

  lifecycle {
    replace_triggered_by = [terraform_data.bounds]
  }
}
