# The states of this use case in this environment, and their locks; no other's.
locals {
  state_bucket = "arn:${local.partition}:s3:::${module.state.bucket}"
  states       = "${local.state_bucket}/${local.project}/${var.environment}"
  lock_tables  = [for table in compact([module.state.table]) : "arn:${local.partition}:dynamodb:${local.in_region}:table/${table}"]
  all_keys     = "arn:${local.partition}:kms:${local.in_region}:key/*"

  state_is_read = concat(
    [
      jsonencode({ Sid = "StateIsRead", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.states}/*.tfstate" }),
      jsonencode({
        Sid      = "StatesAreListed"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.state_bucket
        # `env:/` is where `terraform init` looks for workspaces, of which there are none.
        Condition = { StringLike = { "s3:prefix" = ["${local.project}/${var.environment}/*", "env:/"] } }
      }),
      # Who locks writes a file or an item, also for a plan.
      jsonencode({ Sid = "LocksAreTaken", Effect = "Allow", Action = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], Resource = "${local.states}/*.tfstate.tflock" }),
      jsonencode({
        Sid      = "StateIsDecrypted"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = local.all_keys # whichever the bucket has: S3 asks for it, on behalf of that bucket
        Condition = {
          StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:aws:s3:arn" = [local.state_bucket, "${local.states}/*"] }
        }
      }),
    ],
    flatten([for table in local.lock_tables : [
      jsonencode({
        Sid       = "LocksAreItems"
        Effect    = "Allow"
        Action    = ["dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"]
        Resource  = table
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = "${module.state.bucket}/${local.project}/${var.environment}/*" } }
      }),
      jsonencode({
        Sid      = "LocksAreDecrypted"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = local.all_keys # whichever the table has
        Condition = { StringEquals = {
          "kms:ViaService"                               = "dynamodb.${local.region}.amazonaws.com"
          "kms:EncryptionContext:aws:dynamodb:tableName" = module.state.table
        } }
      }),
    ]]),
  )

  state_is_written = concat(local.state_is_read, [
    jsonencode({ Sid = "StateIsWritten", Effect = "Allow", Action = "s3:PutObject", Resource = "${local.states}/*.tfstate" }),
  ])
}
