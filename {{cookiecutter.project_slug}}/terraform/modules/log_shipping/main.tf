locals {
  arn     = "arn:${data.aws_partition.current.partition}"
  here    = "${var.region}:${var.account}"
  stream  = "${var.name}-logs"
  backups = "${var.project}/log-shipping/${var.name}/"
}

data "aws_partition" "current" {}

# What the domain does not take, for whatever reason, lies in the bucket as it was.
resource "aws_kinesis_firehose_delivery_stream" "this" {
  name        = local.stream
  destination = "opensearch"

  server_side_encryption {
    enabled  = true
    key_type = "CUSTOMER_MANAGED_CMK"
    key_arn  = var.platform.log_kms_key_arn
  }

  opensearch_configuration {
    domain_arn            = var.domain_arn
    role_arn              = module.role.arn
    index_name            = local.stream
    index_rotation_period = "OneMonth"
    buffering_interval    = 60
    buffering_size        = 5
    retry_duration        = 300
    s3_backup_mode        = "FailedDocumentsOnly"

    s3_configuration {
      role_arn            = module.role.arn
      bucket_arn          = "${local.arn}:s3:::${var.backup_bucket}"
      prefix              = local.backups
      error_output_prefix = "${local.backups}failed/"
      compression_format  = "GZIP"
      kms_key_arn         = var.platform.capture_kms_key_arn
    }

    # CloudWatch sends packed bundles of lines.
    processing_configuration {
      enabled = true

      processors {
        type = "Decompression"

        parameters {
          parameter_name  = "CompressionFormat"
          parameter_value = "GZIP"
        }
      }
    }

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.this.name
      log_stream_name = aws_cloudwatch_log_stream.this.name
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/kinesisfirehose/${local.stream}"
  retention_in_days = 365
  kms_key_id        = var.platform.log_kms_key_arn
}

resource "aws_cloudwatch_log_stream" "this" {
  name           = "errors"
  log_group_name = aws_cloudwatch_log_group.this.name
}

resource "aws_cloudwatch_log_subscription_filter" "this" {
  for_each = { for index, group in var.log_groups : basename(group) => group }

  name            = "${local.stream}-${each.key}"
  log_group_name  = each.value
  filter_pattern  = "" # all lines
  destination_arn = aws_kinesis_firehose_delivery_stream.this.arn
  role_arn        = module.sender_role.arn
}

module "role" {
  source = "../role"

  name    = "${var.name}-log-shipping"
  project = var.project
  purpose = "Firehose, which brings logs to OpenSearch"
  service = "firehose.amazonaws.com"
  account = var.account

  statements = [
    jsonencode({
      Sid      = "LinesAreIndexed"
      Effect   = "Allow"
      Action   = ["es:DescribeDomain", "es:DescribeDomainConfig", "es:DescribeDomains", "es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"]
      Resource = [var.domain_arn, "${var.domain_arn}/*"]
    }),
    jsonencode({
      Sid      = "WhatFailsIsKept"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
      Resource = "${local.arn}:s3:::${var.backup_bucket}/${local.backups}*"
    }),
    jsonencode({
      Sid      = "ItTellsOfErrors"
      Effect   = "Allow"
      Action   = "logs:PutLogEvents"
      Resource = "${local.arn}:logs:${local.here}:log-group:/aws/kinesisfirehose/${local.stream}:log-stream:errors"
    }),
    jsonencode({
      Sid      = "BackupsAndLinesAreEncrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [var.platform.capture_kms_key_arn, var.platform.log_kms_key_arn]
    }),
  ]

  permissions_boundary = var.permissions_boundary
}

module "sender_role" {
  source = "../role"

  name    = "${var.name}-log-sender"
  project = var.project
  purpose = "CloudWatch Logs, which sends lines to Firehose"
  service = "logs.amazonaws.com"
  account = var.account

  statements = [jsonencode({
    Sid      = "LinesAreSent"
    Effect   = "Allow"
    Action   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
    Resource = "${local.arn}:firehose:${local.here}:deliverystream/${local.stream}"
  })]

  permissions_boundary = var.permissions_boundary
}
