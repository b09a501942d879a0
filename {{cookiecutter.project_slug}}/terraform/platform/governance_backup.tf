# A copy of the training data that a mistake in its bucket does not reach.
resource "aws_backup_vault" "data" {
  count = local.config.governance.backup ? 1 : 0

  name          = "${local.name}-data"
  kms_key_arn   = module.key["data"].arn
  force_destroy = var.environment == "dev"
}

resource "aws_backup_plan" "data" {
  count = local.config.governance.backup ? 1 : 0

  name = "${local.name}-data"

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.data[0].name
    schedule          = "cron(0 3 * * ? *)"

    lifecycle {
      delete_after = 35
    }
  }
}

module "backup_role" {
  source = "../modules/role"
  count  = local.config.governance.backup ? 1 : 0

  name    = "${local.name}-backup"
  project = local.project
  purpose = "AWS Backup, which copies the data bucket"
  service = "backup.amazonaws.com"
  statements = [
    jsonencode({
      Sid      = "BucketIsCopied"
      Effect   = "Allow"
      Action   = ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketNotification", "s3:GetBucketTagging", "s3:GetBucketVersioning", "s3:GetInventoryConfiguration", "s3:ListBucket", "s3:ListBucketVersions", "s3:PutBucketNotification", "s3:PutInventoryConfiguration"]
      Resource = local.objects["data"]
    }),
    jsonencode({
      Sid      = "ObjectsAreCopied"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
      Resource = "${local.objects["data"]}/*"
    }),
    jsonencode({
      Sid      = "ChangesAreHeardOf" # rules that AWS Backup makes for continuous copies
      Effect   = "Allow"
      Action   = ["events:DeleteRule", "events:DescribeRule", "events:DisableRule", "events:EnableRule", "events:ListTargetsByRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"]
      Resource = "arn:${local.partition}:events:${local.region}:${local.account}:rule/AwsBackupManagedRule*"
    }),
    jsonencode({
      Sid      = "KnowNoResource" # these actions have none
      Effect   = "Allow"
      Action   = ["cloudwatch:GetMetricData", "events:ListRules"]
      Resource = "*"
    }),
  ]
  id_statements = [
    jsonencode({
      Sid      = "ObjectsAreDecrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource = module.key["data"].arn
    }),
  ]
  permissions_boundary = local.permissions_boundary
}

resource "aws_backup_selection" "data" {
  count = local.config.governance.backup ? 1 : 0

  name         = "data"
  plan_id      = aws_backup_plan.data[0].id
  iam_role_arn = module.backup_role[0].arn
  resources    = [local.objects["data"]]
}
