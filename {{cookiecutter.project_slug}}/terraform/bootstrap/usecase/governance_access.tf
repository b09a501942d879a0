# Stage full: what the deploy role needs beyond that for records, backups and rules, for an API with its firewall, for Studio, a
# feature group and what monitors. A role has at most ten policies: the monitor's statements stand with those of the gateway.
locals {
  governs = {
    governance = [
      jsonencode({
        Sid    = "RecordsAndCopiesAreKept"
        Effect = "Allow"
        Action = [
          "backup:CreateBackupVault", "backup:DeleteBackupVault", "backup:DeleteRecoveryPoint", "backup:Describe*", "backup:List*", "backup:TagResource", "backup:UntagResource",
          "budgets:ListTagsForResource", "budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource", "budgets:ViewBudget",
          "cloudtrail:AddTags", "cloudtrail:CreateTrail", "cloudtrail:DeleteTrail", "cloudtrail:Get*", "cloudtrail:ListTags", "cloudtrail:PutEventSelectors", "cloudtrail:RemoveTags", "cloudtrail:StartLogging", "cloudtrail:StopLogging", "cloudtrail:UpdateTrail",
        ]
        Resource = [
          "arn:${local.partition}:backup:${local.in_region}:backup-vault:${local.name}-*",
          "arn:${local.partition}:budgets::${local.account}:budget/${local.name}",
          "arn:${local.partition}:cloudtrail:${local.in_region}:trail/${local.name}-*",
        ]
      }),
      jsonencode({
        Sid       = "PlansAndRulesAreMade" # AWS chooses their names
        Effect    = "Allow"
        Action    = ["backup:CreateBackupPlan", "backup:TagResource", "config:PutConfigRule", "config:TagResource"]
        Resource  = ["arn:${local.partition}:backup:${local.in_region}:backup-plan:*", "arn:${local.partition}:config:${local.in_region}:config-rule/*"]
        Condition = local.to_be_tagged
      }),
      jsonencode({
        Sid    = "PlansAndRulesAreKept"
        Effect = "Allow"
        Action = [
          "backup:CreateBackupSelection", "backup:DeleteBackupPlan", "backup:DeleteBackupSelection", "backup:Get*", "backup:List*", "backup:TagResource", "backup:UntagResource", "backup:UpdateBackupPlan",
          "config:DeleteConfigRule", "config:ListTagsForResource", "config:PutConfigRule", "config:TagResource", "config:UntagResource",
        ]
        Resource  = ["arn:${local.partition}:backup:${local.in_region}:backup-plan:*", "arn:${local.partition}:config:${local.in_region}:config-rule/*"]
        Condition = local.tagged
      }),
      # These actions have no resource.
      jsonencode({ Sid = "KnowNoResource", Effect = "Allow", Action = ["backup-storage:MountCapsule", "cloudtrail:DescribeTrails", "config:DescribeConfigRules"], Resource = "*" }),
    ]
    gateway = concat(local.monitor_is_built, local.model_monitor_is_built, local.model_monitors_stack_is_built, local.logs_are_shipped, [
      jsonencode({
        Sid    = "ApiIsBuilt" # with numbers for names; keys, domains and the account's settings are left out
        Effect = "Allow"
        Action = ["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT", "apigateway:SetWebACL"]
        Resource = [for path in ["restapis", "restapis/*", "tags/*", "usageplans", "usageplans/*"] :
          "arn:${local.partition}:apigateway:${local.region}::/${path}"
        ]
      }),
      jsonencode({
        Sid    = "FirewallIsBuilt"
        Effect = "Allow"
        Action = [
          "wafv2:AssociateWebACL", "wafv2:CreateWebACL", "wafv2:DeleteLoggingConfiguration", "wafv2:DeleteWebACL", "wafv2:DisassociateWebACL", "wafv2:Get*", "wafv2:ListTagsForResource", "wafv2:PutLoggingConfiguration",
          "wafv2:TagResource", "wafv2:UntagResource", "wafv2:UpdateWebACL",
        ]
        Resource = [
          "arn:${local.partition}:apigateway:${local.region}::/restapis/*", "arn:${local.partition}:wafv2:${local.in_region}:regional/managedruleset/*",
          "arn:${local.partition}:wafv2:${local.in_region}:regional/webacl/${local.name}*",
        ]
      }),
      jsonencode({
        Sid       = "ServicesGetTheirRoles"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "${local.iam}:role/aws-service-role/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = ["ops.apigateway.amazonaws.com", "wafv2.amazonaws.com"] } }
      }),
    ])
    studio = concat([
      jsonencode({
        Sid       = "StudioIsMade" # AWS chooses the names
        Effect    = "Allow"
        Action    = ["sagemaker:CreateDomain", "sagemaker:CreateUserProfile"]
        Resource  = ["${local.sagemaker}:domain/*", "${local.sagemaker}:user-profile/*"]
        Condition = local.to_be_tagged
      }),
      jsonencode({
        Sid       = "StudioIsKept"
        Effect    = "Allow"
        Action    = ["sagemaker:AddTags", "sagemaker:DeleteDomain", "sagemaker:DeleteTags", "sagemaker:DeleteUserProfile", "sagemaker:UpdateDomain", "sagemaker:UpdateUserProfile"]
        Resource  = ["${local.sagemaker}:domain/*", "${local.sagemaker}:user-profile/*"]
        Condition = local.tagged
      }),
      jsonencode({
        Sid      = "MlflowIsKept"
        Effect   = "Allow"
        Action   = ["sagemaker:AddTags", "sagemaker:CreateMlflowTrackingServer", "sagemaker:DeleteMlflowTrackingServer", "sagemaker:DeleteTags", "sagemaker:UpdateMlflowTrackingServer"]
        Resource = "${local.sagemaker}:mlflow-tracking-server/${local.name}"
      }),
      jsonencode({ Sid = "HomesAreMade", Effect = "Allow", Action = "elasticfilesystem:CreateFileSystem", Resource = "*" }), # SageMaker makes it for the domain; there is no ARN yet
      jsonencode({
        Sid       = "StudioGetsItsRole"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "${local.iam}:role/aws-service-role/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "sagemaker.amazonaws.com" } }
      }),
      ],
      flatten([for group in local.feature_groups : [
        jsonencode({
          Sid      = "FeatureGroupIsKept"
          Effect   = "Allow"
          Action   = ["sagemaker:AddTags", "sagemaker:CreateFeatureGroup", "sagemaker:DeleteFeatureGroup", "sagemaker:DeleteTags", "sagemaker:UpdateFeatureGroup"]
          Resource = "${local.sagemaker}:feature-group/${lower(group)}" # as SageMaker writes the ARN
        }),
        jsonencode({
          Sid      = "FeaturesAreATable" # which SageMaker makes for who makes the group
          Effect   = "Allow"
          Action   = ["glue:CreateDatabase", "glue:CreateTable", "glue:DeleteTable", "glue:GetDatabase", "glue:GetTable", "glue:UpdateTable"]
          Resource = [for what in ["catalog", "database/sagemaker_featurestore", "table/sagemaker_featurestore/*"] : "arn:${local.partition}:glue:${local.in_region}:${what}"]
        }),
    ]]))
  }
}

# What looks for drift, and what asks for a training.
locals {
  model_monitor = try(local.config.monitoring.model_monitor, {})
  shipped_to    = try(local.config.monitoring.log_shipping.opensearch_domain_arn, "")

  monitor_is_built = [
    jsonencode({
      Sid    = "MonitorIsBuilt"
      Effect = "Allow"
      Action = [
        "lambda:CreateFunction", "lambda:DeleteFunction", "lambda:DeleteFunctionConcurrency", "lambda:DeleteFunctionEventInvokeConfig", "lambda:Get*", "lambda:List*", "lambda:PutFunctionConcurrency",
        "lambda:PutFunctionEventInvokeConfig", "lambda:TagResource", "lambda:UntagResource", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionEventInvokeConfig",
      ]
      Resource = "arn:${local.partition}:lambda:${local.in_region}:function:${local.name}-monitor"
    }),
    jsonencode({ Sid = "MonitorsCodeIsSent", Effect = "Allow", Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], Resource = "${local.artifacts}/${local.project}/monitor/*" }),
    jsonencode({ Sid = "ItsEnvironmentIsEncrypted", Effect = "Allow", Action = "kms:Encrypt", Resource = local.all_keys, Condition = local.tagged }),
    jsonencode({
      Sid       = "MonitorsGetTheirRoles"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "${local.iam}:role/${local.project}/${local.name}-*"
      Condition = { StringEquals = { "iam:PassedToService" = concat(["lambda.amazonaws.com"], local.shipped_to == "" ? [] : ["firehose.amazonaws.com", "logs.amazonaws.com"]) } }
    }),
    jsonencode({
      Sid    = "DriftIsTold" # on a bus of its own, from environments in other accounts; new data on the bucket's
      Effect = "Allow"
      Action = ["events:CreateEventBus", "events:DeleteEventBus", "events:PutPermission", "events:RemovePermission", "events:UpdateEventBus", "s3:PutBucketNotification"]
      Resource = [
        "arn:${local.partition}:events:${local.in_region}:event-bus/${local.name}-drift",
        local.data,
      ]
    }),
  ]

  model_monitor_is_built = !anytrue([for kind in ["data_quality", "model_quality", "bias", "explainability"] : try(local.model_monitor[kind], false)]) ? [] : [
    jsonencode({
      Sid    = "ModelMonitorIsBuilt"
      Effect = "Allow"
      Action = concat(
        [for kind in ["DataQuality", "ModelBias", "ModelExplainability", "ModelQuality"] : "sagemaker:Create${kind}JobDefinition"],
        [for kind in ["DataQuality", "ModelBias", "ModelExplainability", "ModelQuality"] : "sagemaker:Delete${kind}JobDefinition"],
        ["sagemaker:AddTags", "sagemaker:CreateMonitoringSchedule", "sagemaker:DeleteMonitoringSchedule", "sagemaker:DeleteTags", "sagemaker:UpdateMonitoringSchedule"],
      )
      Resource = [for kind in ["*-job-definition", "monitoring-schedule"] : "${local.sagemaker}:${kind}/${local.name}-*"]
    }),
  ]

  # The others are a stack of CloudFormation: Terraform has no such resources.
  model_monitors_stack_is_built = !anytrue([for kind in ["model_quality", "bias", "explainability"] : try(local.model_monitor[kind], false)]) ? [] : [
    jsonencode({
      Sid      = "ItsStackIsBuilt"
      Effect   = "Allow"
      Action   = ["cloudformation:CreateStack", "cloudformation:DeleteStack", "cloudformation:Describe*", "cloudformation:Get*", "cloudformation:List*", "cloudformation:TagResource", "cloudformation:UntagResource", "cloudformation:UpdateStack"]
      Resource = "arn:${local.partition}:cloudformation:${local.in_region}:stack/${local.name}-*/*"
    }),
  ]

  logs_are_shipped = local.shipped_to == "" ? [] : [
    jsonencode({
      Sid    = "LogsAreShipped"
      Effect = "Allow"
      Action = [
        "firehose:CreateDeliveryStream", "firehose:DeleteDeliveryStream", "firehose:Describe*", "firehose:List*", "firehose:StartDeliveryStreamEncryption", "firehose:TagDeliveryStream", "firehose:UntagDeliveryStream",
        "firehose:UpdateDestination", "logs:DeleteSubscriptionFilter", "logs:PutSubscriptionFilter",
      ]
      Resource = ["arn:${local.partition}:firehose:${local.in_region}:deliverystream/${local.name}-*", "arn:${local.partition}:logs:${local.in_region}:log-group:*${local.name}*"]
    }),
  ]
}

resource "aws_iam_policy" "governs" {
  for_each = local.governs

  name = "${local.name}-deploy-${each.key}"
  path = "/${local.project}/"

  policy = jsonencode({ Version = "2012-10-17", Statement = [for statement in each.value : jsondecode(statement)] })
}

resource "aws_iam_role_policy_attachment" "governs" {
  for_each = local.governs

  role       = aws_iam_role.job["deploy"].name
  policy_arn = aws_iam_policy.governs[each.key].arn
}

# Where models are trained, jobs write features and read them back to train with them.
resource "aws_iam_policy" "features" {
  for_each = toset(local.trains ? local.feature_groups : [])

  name = "${local.name}-train-features"
  path = "/${local.project}/"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "FeaturesAreWritten"
        Effect   = "Allow"
        Action   = ["sagemaker:DescribeFeatureGroup", "sagemaker:PutRecord"]
        Resource = "${local.sagemaker}:feature-group/${lower(each.key)}"
      },
      { Sid = "FeaturesAreRead", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.data}/${local.project}/features/*" },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "features" {
  for_each = aws_iam_policy.features

  role       = aws_iam_role.job["train"].name
  policy_arn = each.value.arn
}

# What a training that is asked for looks at, beside the pipeline's own executions.
resource "aws_iam_policy" "retraining" {
  count = local.trains ? 1 : 0

  name = "${local.name}-train-again"
  path = "/${local.project}/"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "AlarmsOnDriftAreRead"
      Effect   = "Allow"
      Action   = "cloudwatch:DescribeAlarms"
      Resource = "arn:${local.partition}:cloudwatch:${local.in_region}:alarm:${local.project}-*-drift"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "retraining" {
  count = local.trains ? 1 : 0

  role       = aws_iam_role.job["train"].name
  policy_arn = aws_iam_policy.retraining[0].arn
}
