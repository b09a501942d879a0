# The states of this use case in this environment, and their locks; no other's.
locals {
  state_bucket = try(
    coalesce(contains(["create", "none"], local.config.account.state_bucket) ? "" : local.config.account.state_bucket, local.config.state.bucket),
    "terraform-state-${local.account}-${local.region}",
  )
  lock_table = try(
    coalesce(contains(["create", "none"], local.config.account.lock_table) ? "" : local.config.account.lock_table, local.config.state.table),
    "terraform-locks",
  )
  states = "arn:${local.partition}:s3:::${local.state_bucket}/${local.project}/${var.environment}"

  state_is_read = concat(
    [
      jsonencode({ Sid = "StateIsRead", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.states}/*.tfstate" }),
      jsonencode({
        Sid       = "StatesAreListed"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = "arn:${local.partition}:s3:::${local.state_bucket}"
        Condition = { StringLike = { "s3:prefix" = "${local.project}/${var.environment}/*" } }
      }),
      # Who locks writes a file or an item, also for a plan.
      jsonencode({ Sid = "LocksAreTaken", Effect = "Allow", Action = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], Resource = "${local.states}/*.tfstate.tflock" }),
      jsonencode({
        Sid       = "StateIsDecrypted"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "arn:${local.partition}:kms:${local.region}:${local.account}:key/*"
        Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/terraform-state" } }
      }),
    ],
    [for table in [local.lock_table] : jsonencode({
      Sid       = "LocksAreItems"
      Effect    = "Allow"
      Action    = ["dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"]
      Resource  = "arn:${local.partition}:dynamodb:${local.region}:${local.account}:table/${table}"
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = "${local.state_bucket}/${local.project}/${var.environment}/*" } }
    }) if contains(["dynamodb", "both"], local.config.state.lock)],
  )

  state_is_written = concat(local.state_is_read, [
    jsonencode({ Sid = "StateIsWritten", Effect = "Allow", Action = "s3:PutObject", Resource = "${local.states}/*.tfstate" }),
  ])
}
