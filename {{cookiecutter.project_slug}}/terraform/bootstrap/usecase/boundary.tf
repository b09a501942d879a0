# The most that a role of the use case can ever do: those of jobs, and those that terraform/platform and terraform/serving make.
# A job may make roles, and gives them no more than this. So it ends where the use case does: at its names, its tags, its roles.
locals {
  own_boundary = local.config.account.permissions_boundary == ""
  boundary     = local.own_boundary ? "${local.iam}:policy/${local.project}/${local.name}-boundary" : local.config.account.permissions_boundary

  # One policy has at most 6,144 characters: regions are left to the policies of the roles.
  here = "*:${local.account}"
  own_names = distinct(concat(
    [
      "arn:${local.partition}:s3:::${local.name}-*",
      "arn:${local.partition}:backup:${local.here}:backup-vault:${local.name}-*",
      "arn:${local.partition}:budgets::${local.account}:budget/${local.name}",
      "arn:${local.partition}:cloudtrail:${local.here}:trail/${local.name}-*",
      "arn:${local.partition}:cloudwatch:${local.here}:*${local.name}*",
      "arn:${local.partition}:ecr:${local.here}:repository/${local.name}",
      "arn:${local.partition}:events:${local.here}:*/${local.name}-*",
      "arn:${local.partition}:logs:${local.here}:log-group:*${local.name}*",
      "arn:${local.partition}:scheduler:${local.here}:*/${local.name}-*",
      "arn:${local.partition}:secretsmanager:${local.here}:secret:events!connection/${local.name}-*",
      "arn:${local.partition}:sns:${local.here}:${local.name}-*",
      "arn:${local.partition}:sqs:${local.here}:${local.name}-*",
      "arn:${local.partition}:ssm:${local.here}:parameter/${local.project}/${var.environment}/*",
      "arn:${local.partition}:states:${local.here}:*:${local.name}-*",
      "arn:${local.partition}:wafv2:${local.here}:regional/webacl/${local.name}*",
      "arn:${local.partition}:sagemaker:${local.here}:*/${local.name}*",
      "arn:${local.partition}:sagemaker:${local.here}:model-package*/${local.group}*",

      # Names that AWS chooses: jobs of pipelines and their logs, rules that services keep, APIs, scaling.
      "arn:${local.partition}:sagemaker:${local.here}:*/pipelines-*",
      "arn:${local.partition}:logs:${local.here}:log-group:/aws/sagemaker/*",
      "arn:${local.partition}:events:${local.here}:rule/StepFunctionsGetEvents*",
      "arn:${local.partition}:events:${local.here}:rule/AwsBackupManagedRule*",
      "arn:${local.partition}:apigateway:*::/*",
      "arn:${local.partition}:application-autoscaling:${local.here}:scalable-target/*",
      "arn:${local.partition}:wafv2:${local.here}:regional/managedruleset/*",

      # Read for copies: files and images of the registry of record, AWS's own images.
      "${local.record_objects}*",
      "arn:${local.partition}:ecr:*:${local.record_account}:repository/${local.record_name}",
      "arn:${local.partition}:ecr:*:*:repository/sagemaker-*",
    ],
    # A feature group has the name of the settings, and a table in Glue.
    flatten([for group in local.feature_groups : [
      "arn:${local.partition}:sagemaker:${local.here}:feature-group/${lower(group)}",
      "arn:${local.partition}:glue:${local.here}:catalog",
      "arn:${local.partition}:glue:${local.here}:*/sagemaker_featurestore*",
    ]]),
    # What monitors, at stage full: a function, its jobs in SageMaker, logs on their way to a domain of the settings.
    [for _ in compact([try(local.config.monitoring.enabled ? "on" : "", "")]) : "arn:${local.partition}:lambda:${local.here}:function:${local.name}-monitor"],
    [for _ in compact([for kind in ["model_quality", "bias", "explainability"] : try(local.config.monitoring.model_monitor[kind], false) ? "on" : ""]) : "arn:${local.partition}:cloudformation:${local.here}:stack/${local.name}-*"],
    flatten([for domain in compact([try(local.config.monitoring.log_shipping.opensearch_domain_arn, "")]) : ["arn:${local.partition}:firehose:${local.here}:deliverystream/${local.name}-*", "${domain}*"]]),
    # What people start in Studio has numbers for names, and no tags.
    try(local.config.studio.enabled, false) ? [for kind in ["app", "space"] : "arn:${local.partition}:sagemaker:${local.here}:${kind}/*"] : [],
  ))

  bounds = concat(
    [
      # Whatever a service can do with what has these names; the policy of each role says which actions.
      { Effect = "Allow", Action = "*", Resource = local.own_names },
      # What has no name of its own choosing is known by its tags, which it gets as it is made.
      { Effect = "Allow", Action = ["backup:*", "config:*", "ec2:*", "kms:*", "sagemaker:*"], Resource = "*", Condition = local.tagged },
      {
        Effect = "Allow"
        Action = [
          "backup:CreateBackupPlan", "backup:TagResource", "config:PutConfigRule", "config:TagResource", "ec2:AllocateAddress", "ec2:Authorize*", "ec2:Create*Gateway", "ec2:CreateFlowLogs", "ec2:CreateRouteTable",
          "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateVpc*", "kms:CreateKey", "sagemaker:CreateDomain", "sagemaker:CreateUserProfile",
        ]
        Resource  = "*"
        Condition = local.to_be_tagged
      },
      # A network that exists has its own tags, if any; what is made there has ours.
      {
        Effect   = "Allow"
        Action   = ["ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint"]
        Resource = [for part in ["route-table", "subnet", "vpc"] : "${local.ec2}:${part}/*"]
      },
      # States, under keys that need not be ours, in a bucket and a table that are named.
      {
        Effect   = "Allow"
        Action   = ["dynamodb:*Item", "dynamodb:DescribeTable", "s3:*Object", "s3:ListBucket"]
        Resource = concat([local.state_bucket, "${local.states}/*"], local.lock_tables)
      },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = "*", Condition = { StringLike = { "kms:ViaService" = ["dynamodb.*", "s3.*"] } } },
      # These know no resource: settings are read, measurements sent, logs delivered; jobs have network interfaces, which nobody tags.
      {
        Effect = "Allow"
        Action = [
          "application-autoscaling:Describe*", "backup-storage:MountCapsule", "backup:List*", "cloudtrail:DescribeTrails", "cloudwatch:*MetricData", "cloudwatch:Describe*", "config:Describe*",
          "ec2:*NetworkInterface*", "ec2:Describe*", "ecr:GetAuthorizationToken", "elasticfilesystem:CreateFileSystem", "events:List*", "kms:ListAliases", "logs:*Deliver*", "logs:*ResourcePolic*",
          "logs:DescribeLogGroups", "sagemaker:Describe*", "sagemaker:List*", "sns:*Subscri*", "ssm:DescribeParameters", "states:Validate*", "xray:*",
        ]
        Resource = "*"
      },
      { Effect = "Allow", Action = "iam:*", Resource = ["${local.iam}:role/${local.project}/${local.name}-*", "${local.iam}:role/aws-service-role/*"] },
      # Roles only within this boundary. That holds for changes too: a role that was made otherwise is left alone.
      {
        Effect    = "Deny"
        Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRole*", "iam:UpdateAssumeRolePolicy"]
        Resource  = "*"
        Condition = { StringNotEquals = { "iam:PermissionsBoundary" = local.boundary } }
      },
      # No users, no keys, and the boundary stays as it is.
      {
        Effect   = "Deny"
        Action   = ["iam:*AccessKey*", "iam:*LoginProfile*", "iam:*User*", "iam:CreatePolicy*", "iam:DeletePolicy*", "iam:DeleteRolePermissionsBoundary", "iam:SetDefaultPolicyVersion"]
        Resource = "*"
      },
      # Jobs do not change their own roles, nor pass them on: this root makes them, which a person applies.
      {
        Effect    = "Deny"
        NotAction = ["iam:Get*", "iam:List*"]
        Resource  = [for role in keys(local.roles) : "${local.iam}:role/*/${local.name}-${role}"]
      },
    ],
    [for statement in local.new_is_tagged : { for key, value in jsondecode(statement) : key => value if key != "Sid" }],
  )
}

resource "aws_iam_policy" "boundary" {
  count = local.own_boundary ? 1 : 0

  name        = "${local.name}-boundary"
  path        = "/${local.project}/"
  description = "Bounds every role of ${local.name}; grants nothing by itself"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.bounds })

  lifecycle {
    precondition {
      condition     = length(jsonencode({ Version = "2012-10-17", Statement = local.bounds })) <= 6144
      error_message = "the permissions boundary is longer than the 6,144 characters of a policy: choose shorter names for project and model_package_group, or give account.permissions_boundary in config/${var.environment}.yaml."
    }
  }
}
