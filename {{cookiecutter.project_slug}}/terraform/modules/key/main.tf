data "aws_partition" "current" {}

locals {
  arn_of = "arn:${data.aws_partition.current.partition}"

  # "*" as a resource means the key itself in its own policy.
  statements = concat(
    [{
      Sid       = "AccountDecides" # IAM policies say who may use the key; without this nobody could administer it
      Effect    = "Allow"
      Principal = { AWS = "${local.arn_of}:iam::${var.account}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }],
    [for service in sort(var.services) : {
      Sid       = "Service${title(split(".", service)[0])}"
      Effect    = "Allow"
      Principal = { Service = service }
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"]
      Resource  = "*"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }],
    [for region in compact([var.log_groups_of]) : {
      Sid       = "LogGroups"
      Effect    = "Allow"
      Principal = { Service = "logs.${region}.amazonaws.com" }
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      Resource  = "*"
      Condition = { ArnLike = {
        "kms:EncryptionContext:aws:logs:arn" = "${local.arn_of}:logs:${region}:${var.account}:log-group:*"
      } }
    }],
    # What EventBridge asks of KMS for a queue or topic names no account: a condition would drop every message. Which rule
    # may send is decided by the policy of the queue or topic.
    [for service in var.events ? ["events.amazonaws.com"] : [] : {
      Sid       = "RulesSend"
      Effect    = "Allow"
      Principal = { Service = service }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "*"
    }],
    # Accounts as principals and roles in a condition: the roles need not exist yet.
    [for accounts in length(var.readers) > 0 ? [distinct([for role in var.readers : join(":", concat(slice(split(":", role), 0, 5), ["root"]))])] : [] : {
      Sid       = "OthersRead"
      Effect    = "Allow"
      Principal = { AWS = accounts }
      Action    = "kms:Decrypt"
      Resource  = "*"
      Condition = { ArnEquals = { "aws:PrincipalArn" = var.readers }, StringLike = { "kms:ViaService" = "s3.*" } }
    }],
  )
}

resource "aws_kms_key" "this" {
  description             = var.purpose
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_days

  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
