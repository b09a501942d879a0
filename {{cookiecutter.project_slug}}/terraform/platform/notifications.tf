# What people hear of: alarms by CloudWatch, answers by endpoints, versions by EventBridge.
locals {
  topics = { alarms = "Alarms", async = "Answers to asynchronous requests", models = "Versions of the model" }

  topic_arns = { for topic in keys(local.topics) : topic => "arn:${local.partition}:sns:${local.region}:${local.account}:${local.name}-${topic}" }

  publishers = {
    alarms = [{
      Sid       = "AlarmsArrive"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = local.topic_arns["alarms"]
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
    async = [] # the role of inference may publish by its own policy
    models = [{
      Sid       = "VersionsArrive"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = local.topic_arns["models"] # EventBridge publishes to no topic whose policy has a condition for it
    }]
  }
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
    Statement = concat(local.publishers[each.key], [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sns:Publish"
      Resource  = local.topic_arns[each.key]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }])
  })
}

# The owner confirms them in the e-mails that AWS sends.
resource "aws_sns_topic_subscription" "owner" {
  for_each = toset(["alarms", "models"])

  topic_arn = aws_sns_topic.this[each.key].arn
  protocol  = "email"
  endpoint  = local.config.owner_email
}
