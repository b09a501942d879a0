# Terraform reads each attribute of what it made, for a plan too. Settings are read, never data.
locals {
  all_is_read = [
    jsonencode({
      Sid    = "SettingsAreRead" # most of these actions have no resource, the others list what is there
      Effect = "Allow"
      Action = [
        "application-autoscaling:Describe*", "cloudwatch:Describe*", "ec2:Describe*", "events:List*",
        "kms:ListAliases", "logs:Describe*", "sagemaker:Describe*", "sagemaker:List*", "sns:GetSubscriptionAttributes", "ssm:DescribeParameters", "states:ValidateStateMachineDefinition",
      ]
      Resource = "*"
    }),
    jsonencode({
      Sid    = "OwnSettingsAreRead"
      Effect = "Allow"
      Action = [
        "application-autoscaling:ListTagsForResource", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource", "ecr:Describe*", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource", "events:Describe*", "logs:ListTagsForResource",
        "s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetMetricsConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ListTagsForResource",
        "sagemaker:GetModelPackageGroupPolicy", "scheduler:Get*", "scheduler:List*", "sns:Get*", "sns:List*", "sqs:Get*", "sqs:ListQueueTags",
        "ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource", "states:Describe*", "states:List*",
      ]
      Resource = local.own_names # of the boundary
    }),
    jsonencode({
      Sid       = "OwnKeysAreRead"
      Effect    = "Allow"
      Action    = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"]
      Resource  = local.all_keys
      Condition = local.tagged
    }),
    jsonencode({
      Sid      = "OwnRolesAreRead"
      Effect   = "Allow"
      Action   = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies"]
      Resource = "${local.iam}:role/${local.project}/${local.name}-*"
    }),
  ]
}
