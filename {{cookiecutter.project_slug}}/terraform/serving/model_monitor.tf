# Stage full, by setting: SageMaker Model Monitor beside our own. Its jobs cost by the hour.
locals {
  served      = "arn:${data.aws_partition.current.partition}:sagemaker:${local.config.aws_region}:${local.config.aws_account}"
  s3          = "arn:${data.aws_partition.current.partition}:s3:::"
  given       = compact([for key in ["ground_truth_uri", "analysis_config_uri"] : trimprefix(try(local.config.monitoring.model_monitor[key], ""), "s3://")])
  read_by_it  = concat(["${trimprefix(local.capture_uri, "s3://")}/*"], [for uri in [var.baseline_uri] : "${trimprefix(uri, "s3://")}/*.json" if uri != null], [for path in local.given : "${path}*"])
  explains    = try(local.config.monitoring.model_monitor.explainability, false)
  its_reports = "${local.reports}/model-monitor"

  model_monitor_statements = concat([
    jsonencode({
      Sid      = "TrafficBaselineAndLabelsAreRead"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = [for path in local.read_by_it : "${local.s3}${path}"]
    }),
    jsonencode({
      Sid       = "TheyAreListed"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = distinct([for path in local.read_by_it : "${local.s3}${split("/", path)[0]}"])
      Condition = { StringLike = { "s3:prefix" = [for path in local.read_by_it : "${trimsuffix(join("/", slice(split("/", path), 1, length(split("/", path)))), ".json")}"] } }
    }),
    jsonencode({
      Sid      = "ReportsAreWritten"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
      Resource = "${local.s3}${trimprefix(local.its_reports, "s3://")}/*"
    }),
    jsonencode({
      Sid      = "ImagesOfAwsArePulled" # from an account of its own per region
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = [for image in ["clarify-processing", "model-monitor-analyzer"] : "arn:${data.aws_partition.current.partition}:ecr:${local.config.aws_region}:*:repository/sagemaker-${image}"]
    }),
    jsonencode({
      Sid      = "KnowNoResource" # these actions have none
      Effect   = "Allow"
      Action   = ["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ecr:GetAuthorizationToken"]
      Resource = "*"
    }),
    jsonencode({
      Sid      = "NetworkInterfaces"
      Effect   = "Allow"
      Action   = ["ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"]
      Resource = [for kind in concat(["network-interface/*"], [for id in var.platform.subnet_ids : "subnet/${id}"], [for id in var.platform.security_group_ids : "security-group/${id}"]) : "arn:${data.aws_partition.current.partition}:ec2:${local.config.aws_region}:${local.config.aws_account}:${kind}"]
    }),
    jsonencode({
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = "arn:${data.aws_partition.current.partition}:logs:${local.config.aws_region}:${local.config.aws_account}:log-group:/aws/sagemaker/*"
    }),
    jsonencode({
      Sid       = "Metrics"
      Effect    = "Allow"
      Action    = "cloudwatch:PutMetricData"
      Resource  = "*" # the action has no resource: the namespace bounds it
      Condition = { StringLike = { "cloudwatch:namespace" = ["/aws/sagemaker/*", "aws/sagemaker/*"] } }
    }),
    jsonencode({
      Sid      = "EndpointIsLookedAt"
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig"]
      Resource = ["${local.served}:endpoint/${local.name}", "${local.served}:endpoint-config/${local.name}-*"]
    }),
    jsonencode({
      Sid      = "RequestsAndBaselineAreDecrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource = [var.platform.capture_kms_key_arn, var.platform.artifact_kms_key_arn, var.platform.data_kms_key_arn]
    }),
    jsonencode({
      Sid       = "VolumesAreEncrypted"
      Effect    = "Allow"
      Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"]
      Resource  = var.platform.volume_kms_key_arn
      Condition = { BoolIfExists = { "kms:GrantIsForAWSResource" = "true" } }
    }),
    ],
    # SageMaker Clarify asks an endpoint of its own, which goes with the job.
    [for prefix in local.explains ? ["${local.name}-explain"] : [] : jsonencode({
      Sid      = "AnEndpointIsAskedForReasons"
      Effect   = "Allow"
      Action   = ["sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel", "sagemaker:InvokeEndpoint"]
      Resource = ["${local.served}:endpoint/${prefix}*", "${local.served}:endpoint-config/${prefix}*", "${local.served}:model/${local.name}-*"]
    })],
  )
}

module "model_monitor_role" {
  source = "../modules/role"
  count  = local.compared

  name                 = "${local.name}-model-monitor"
  project              = local.project
  purpose              = "Jobs of SageMaker Model Monitor"
  service              = "sagemaker.amazonaws.com"
  account              = local.config.aws_account
  statements           = local.model_monitor_statements
  permissions_boundary = local.monitors_boundary
}

module "model_monitor_volume_key" {
  source = "../modules/volume_key"
  count  = local.compared

  instance_types = [try(local.config.monitoring.model_monitor.instance_type, "ml.m5.large")]
  kms_key_arn    = var.platform.volume_kms_key_arn
}

module "model_monitor" {
  source = "../modules/model_monitor"
  count  = local.compared

  name          = local.name
  environment   = var.environment
  endpoint_name = module.endpoint[0].name
  role_arn      = module.model_monitor_role[0].arn
  baseline_uri  = var.baseline_uri
  report_uri    = local.its_reports
  model_monitor = local.config.monitoring.model_monitor

  platform = merge(var.platform, { volume_kms_key_arn = module.model_monitor_volume_key[0].kms_key_arn })
}

module "log_shipping" {
  source = "../modules/log_shipping"
  count  = local.shipped_to == "" ? 0 : local.released

  name    = local.name
  project = local.project
  account = local.config.aws_account
  region  = local.config.aws_region
  # SageMaker makes the endpoint's group with its first line, before the endpoint is in service.
  log_groups           = concat([for name in module.endpoint[*].name : "/aws/sagemaker/Endpoints/${name}"], module.monitor[*].log_group_name)
  domain_arn           = local.shipped_to
  backup_bucket        = var.platform.capture_bucket
  platform             = var.platform
  permissions_boundary = local.monitors_boundary
}
