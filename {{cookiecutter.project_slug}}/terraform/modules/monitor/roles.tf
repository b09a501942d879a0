# What the function may: read captured requests and the baseline, write reports, and tell of itself. No other bucket, no model,
# no endpoint.
locals {
  undelivered_is_kept = jsonencode({
    Sid      = "WhatFailsIsKept"
    Effect   = "Allow"
    Action   = "sqs:SendMessage"
    Resource = local.queue_arn
  })
  work = [
    jsonencode({
      Sid      = "TrafficAndBaselineAreRead"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = ["${local.object_arns["capture"]}/*", "${local.object_arns["baseline"]}/*.json"] # a version keeps its model beside them
    }),
    jsonencode({
      Sid      = "ReportsAreKept"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"] # a window that was reported is not judged again
      Resource = "${local.object_arns["report"]}/*"
    }),
    jsonencode({
      Sid       = "ObjectsAreListed"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = distinct(values(local.bucket_arns))
      Condition = { StringLike = { "s3:prefix" = [for prefix in values(local.key_prefixes) : "${prefix}/*"] } }
    }),
    jsonencode({
      Sid      = "ItTellsOfItself"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:${data.aws_partition.current.partition}:logs:${var.region}:${var.account}:log-group:/aws/lambda/${local.function}:*"
    }),
    local.undelivered_is_kept,
  ]
  messages_are_encrypted = jsonencode({
    Sid      = "MessagesAreEncrypted"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = var.platform.log_kms_key_arn
  })
}

module "role" {
  source = "../role"

  name    = local.function
  project = var.project
  purpose = "The function that compares traffic with training rows"
  service = "lambda.amazonaws.com"
  account = var.account

  statements = local.work

  id_statements = [
    jsonencode({
      Sid      = "TrafficIsDecryptedReportsAreEncrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = var.platform.capture_kms_key_arn
    }),
    jsonencode({
      Sid      = "BaselineIsDecrypted"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = var.platform.artifact_kms_key_arn
    }),
    local.messages_are_encrypted,
  ]

  permissions_boundary = var.permissions_boundary
}

module "scheduler_role" {
  source = "../role"

  name    = "${local.function}-schedule"
  project = var.project
  purpose = "EventBridge Scheduler, which starts the monitor"
  service = "scheduler.amazonaws.com"
  account = var.account

  statements = [
    jsonencode({
      Sid      = "MonitorIsStarted"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = local.function_arn
    }),
    local.undelivered_is_kept,
  ]

  id_statements        = [local.messages_are_encrypted]
  permissions_boundary = var.permissions_boundary
}
