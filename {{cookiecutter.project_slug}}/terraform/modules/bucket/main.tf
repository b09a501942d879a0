data "aws_partition" "current" {}

locals {
  # From its name, and not from the bucket: so a plan shows what the policy will say.
  arn = "arn:${data.aws_partition.current.partition}:s3:::${var.name}"

  # Accounts as principals and roles in a condition: the roles need not exist yet.
  reading_accounts = distinct([for role in try(var.readers.roles, []) : join(":", concat(slice(split(":", role), 0, 5), ["root"]))])
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:where a copy of the data may lie is a decision for people, not a default
  #checkov:skip=CKV2_AWS_62:nothing starts when an object arrives; pipelines are started by people, schedules and the registry
  bucket        = var.name
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    bucket_key_enabled = var.key != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.key == null ? "AES256" : "aws:kms"
      kms_master_key_id = try(var.key.arn, null)
    }
  }
}

resource "aws_s3_bucket_logging" "this" {
  count = var.log_bucket == null ? 0 : 1

  bucket        = aws_s3_bucket.this.id
  target_bucket = var.log_bucket.name
  target_prefix = "access/${var.name}/"
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.arn, "${local.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for account in compact([var.receives_logs_of]) : {
        Sid       = "AccessLogsArrive"
        Effect    = "Allow"
        Principal = { Service = "logging.s3.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${local.arn}/access/*"
        Condition = { StringEquals = { "aws:SourceAccount" = account } }
      }],
      [for delivery in var.delivered_by[*] : {
        Sid       = "ReportsArrive"
        Effect    = "Allow"
        Principal = { Service = delivery.services }
        Action    = ["s3:GetBucketAcl", "s3:ListBucket", "s3:PutObject"] # they look whether the bucket is there and theirs, then write
        Resource  = [local.arn, "${local.arn}/*"]
        Condition = { StringEquals = { "aws:SourceAccount" = delivery.account } }
      }],
      flatten([for readers in var.readers[*] : [
        {
          Sid       = "OthersRead"
          Effect    = "Allow"
          Principal = { AWS = local.reading_accounts }
          Action    = "s3:GetObject"
          Resource  = [for prefix in readers.prefixes : "${local.arn}/${prefix}*"]
          Condition = { ArnEquals = { "aws:PrincipalArn" = readers.roles } }
        },
        {
          Sid       = "OthersList"
          Effect    = "Allow"
          Principal = { AWS = local.reading_accounts }
          Action    = "s3:ListBucket"
          Resource  = [local.arn]
          Condition = { ArnEquals = { "aws:PrincipalArn" = readers.roles }, StringLike = { "s3:prefix" = [for prefix in readers.prefixes : "${prefix}*"] } }
        },
      ]]),
    )
  })

  # S3 refuses two changes of a bucket's access at the same time.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "overwritten"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  # Deleting an object leaves a version behind, which follows soon.
  dynamic "rule" {
    for_each = var.retention_days

    content {
      id     = "retention-${trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }

      noncurrent_version_expiration {
        noncurrent_days = 7
      }
    }
  }

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
