# Who did what in the account, and how its resources were set up: one trail and one recorder per account and region.
locals {
  audits     = local.made.trail || local.made.config_recorder
  trail_name = "account-trail"
}

module "audit_key" {
  source = "../../modules/key"
  count  = local.audits ? 1 : 0

  name          = "account-audit"
  purpose       = "Records of the trail and of AWS Config"
  account       = local.account
  services      = ["cloudtrail.amazonaws.com", "config.amazonaws.com"]
  log_groups_of = local.region
}

module "audit_bucket" {
  source = "../../modules/bucket"
  count  = local.audits ? 1 : 0

  name           = "account-audit-${local.account}-${local.region}"
  key            = module.audit_key[0]
  log_bucket     = local.log_bucket
  delivered_by   = { account = local.account, services = ["cloudtrail.amazonaws.com", "config.amazonaws.com"] }
  retention_days = { "AWSLogs/" = 2557 } # seven years
}

resource "aws_cloudwatch_log_group" "trail" {
  count = local.made.trail ? 1 : 0

  name              = "/${local.trail_name}"
  retention_in_days = 365
  kms_key_id        = module.audit_key[0].arn
}

module "trail_role" {
  source = "../../modules/role"
  count  = local.made.trail ? 1 : 0

  name    = local.trail_name
  project = "account"
  purpose = "CloudTrail, which writes to CloudWatch Logs"
  service = "cloudtrail.amazonaws.com"
  account = null # CloudTrail does not say whose trail it is
  statements = [jsonencode({
    Sid      = "RecordsAreWritten"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = "${aws_cloudwatch_log_group.trail[0].arn}:log-stream:*"
  })]
}

resource "aws_cloudtrail" "this" {
  #checkov:skip=CKV_AWS_252:alarms are made from the log group; a message per file of the trail helps nobody
  count = local.made.trail ? 1 : 0

  name                          = local.trail_name
  s3_bucket_name                = module.audit_bucket[0].name
  kms_key_id                    = module.audit_key[0].arn
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  cloud_watch_logs_group_arn    = "${aws_cloudwatch_log_group.trail[0].arn}:*"
  cloud_watch_logs_role_arn     = module.trail_role[0].arn
}

# The role that AWS Config has of its own, which knows each kind of resource that Config records.
resource "aws_iam_service_linked_role" "config" {
  count = local.made.config_recorder ? 1 : 0

  aws_service_name = "config.amazonaws.com"
}

resource "aws_config_configuration_recorder" "this" {
  count = local.made.config_recorder ? 1 : 0

  name     = "account"
  role_arn = aws_iam_service_linked_role.config[0].arn

  recording_group {
    all_supported                 = true
    include_global_resource_types = true
  }
}

resource "aws_config_delivery_channel" "this" {
  count = local.made.config_recorder ? 1 : 0

  name           = "account"
  s3_bucket_name = module.audit_bucket[0].name
  s3_kms_key_arn = module.audit_key[0].arn

  depends_on = [aws_config_configuration_recorder.this]
}

resource "aws_config_configuration_recorder_status" "this" {
  count = local.made.config_recorder ? 1 : 0

  name       = aws_config_configuration_recorder.this[0].name
  is_enabled = true

  depends_on = [aws_config_delivery_channel.this]
}
