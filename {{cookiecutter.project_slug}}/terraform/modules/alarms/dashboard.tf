locals {
  shares = { for metric in ["Invocation4XXErrors", "Invocation5XXErrors"] : metric => "Average" }

  # By title: whether the mode has it, then metrics as CloudWatch lists them: namespace, name, dimensions, options.
  graphs = {
    "Requests" = [local.serves, [
      concat(["AWS/SageMaker", local.invocations], local.variant_list, [{ stat = "Sum" }]),
    ]]
    "Errors, as a share of the requests" = [local.serves, [
      for metric, statistic in local.shares : concat(["AWS/SageMaker", metric], local.variant_list, [{ stat = statistic }])
    ]]
    "Latency of the model, in microseconds" = [local.serves, [
      for statistic in ["p50", "p90", "p99"] : concat(["AWS/SageMaker", "ModelLatency"], local.variant_list, [{ stat = statistic }])
    ]]
    "Memory, in percent" = [var.mode == "serverless", [
      concat(["/aws/sagemaker/Endpoints", "MemoryUtilization"], local.variant_list),
    ]]
    "Processors (of one core), memory and disks, in percent" = [local.instances, [
      for metric in ["CPUUtilization", "MemoryUtilization", "DiskUtilization"] : concat(["/aws/sagemaker/Endpoints", metric], local.variant_list)
    ]]
    "Instances" = [local.instances, [
      concat(["/aws/sagemaker/Endpoints", "CPUUtilization"], local.variant_list, [{ stat = "SampleCount", period = 60 }]),
    ]]
    "Requests in the queue" = [local.async, [
      ["AWS/SageMaker", "ApproximateBacklogSize", "EndpointName", var.endpoint_name],
      ["AWS/SageMaker", "ApproximateBacklogSizePerInstance", "EndpointName", var.endpoint_name],
    ]]
    "Age of the oldest request, in seconds" = [local.async, [
      ["AWS/SageMaker", "ApproximateAgeOfOldestRequest", "EndpointName", var.endpoint_name],
    ]]
    "Runs" = [!local.serves, [
      for metric in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] :
      ["AWS/States", metric, "StateMachineArn", try(var.batch.state_machine_arn, ""), { stat = "Sum" }]
    ]]
    "Time of a run, in milliseconds" = [!local.serves, [
      ["AWS/States", "ExecutionTime", "StateMachineArn", try(var.batch.state_machine_arn, ""), { stat = "Maximum" }],
    ]]
  }

  variant_list = ["EndpointName", var.endpoint_name, "VariantName", var.variant_name]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type   = "alarm"
        width  = 24
        height = 3
        properties = {
          title  = "Alarms"
          alarms = [for name in sort(concat(local.names, var.others.alarms, var.others.shown)) : "arn:${data.aws_partition.current.partition}:cloudwatch:${var.region}:${var.account}:alarm:${name}"]
        }
      }],
      [for title, graph in local.graphs : {
        type   = "metric"
        width  = 12
        height = 6
        properties = {
          title   = title
          region  = var.region
          view    = "timeSeries"
          metrics = graph[1]
        }
      } if graph[0]],
      [for title, metrics in var.others.graphs : {
        type       = "metric"
        width      = 12
        height     = 6
        properties = { title = title, region = var.region, view = "timeSeries", metrics = jsondecode(metrics) }
      }],
    )
  })
}

data "aws_partition" "current" {}
