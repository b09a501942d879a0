data "aws_partition" "current" {}

locals {
  reader_accounts = distinct([for arn in var.readers : "arn:${data.aws_partition.current.partition}:iam::${split(":", arn)[4]}:root"])

  # CloudWatch Logs names the log group in the encryption context and the region in its principal; the others name the account.
  account_statement = {
    # Leaves the decision to the IAM policies of the account; without it nobody could administer the key.
    Sid       = "AccountDecides"
    Effect    = "Allow"
    Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${var.account}:root" }
    Action    = "kms:*"
    Resource  = "*" # in a key policy: this key
  }
  service_statement = {
    Sid       = "ServicesEncrypt"
    Effect    = "Allow"
    Principal = { Service = var.services }
    Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    Resource  = "*" # in a key policy: this key
    Condition = {
      StringEqualsIfExists = { "aws:SourceAccount" = var.account }
      ArnLikeIfExists = {
        "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.current.partition}:logs:*:${var.account}:log-group:*"
      }
    }
  }
  reader_statement = {
    Sid       = "CopiersDecrypt"
    Effect    = "Allow"
    Principal = { AWS = local.reader_accounts }
    Action    = ["kms:Decrypt", "kms:DescribeKey"]
    Resource  = "*" # in a key policy: this key
    # By condition and not as principal, so that the roles need not exist yet.
    Condition = { ArnEquals = { "aws:PrincipalArn" = var.readers } }
  }
}

resource "aws_kms_key" "this" {
  description             = var.purpose
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_days

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.account_statement],
      [for statement in [local.service_statement] : statement if length(var.services) > 0],
      [for statement in [local.reader_statement] : statement if length(var.readers) > 0],
    )
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
