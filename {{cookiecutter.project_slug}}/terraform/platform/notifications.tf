# What people hear of: alarms, and files that answer asynchronous requests.
locals {
  topics = { alarms = "Alarms", async = "Answers to asynchronous requests" }
}

resource "aws_sns_topic" "this" {
  for_each = local.topics

  name              = "${local.name}-${each.key}"
  display_name      = "${each.value} of ${local.name}"
  kms_master_key_id = module.key["logs"].arn
}

resource "aws_sns_topic_policy" "this" {
  for_each = local.topics

  arn = aws_sns_topic.this[each.key].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ServicesOfTheAccountPublish"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        Sid       = "RolesOfTheAccountPublish"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# The owner confirms it in the e-mail that AWS sends.
resource "aws_sns_topic_subscription" "owner" {
  topic_arn = aws_sns_topic.this["alarms"].arn
  protocol  = "email"
  endpoint  = local.config.owner_email
}
