# What Terraform needs to build terraform/platform and terraform/serving, and the commands around it to copy, check and record a
# version. Stage full adds governance_access.tf. Names begin with project and environment.
locals {
  images = "arn:${local.partition}:ecr:${local.in_region}:repository/${local.name}"

  storage = concat(
    [
      jsonencode({
        Sid    = "BucketsAreBuilt"
        Effect = "Allow"
        Action = [
          "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketLogging", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
          "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutMetricsConfiguration", "s3:TagResource", "s3:UntagResource",
        ]
        Resource = "arn:${local.partition}:s3:::${local.name}-*"
      }),
      jsonencode({ Sid = "KeysAreMade", Effect = "Allow", Action = "kms:CreateKey", Resource = "*", Condition = local.to_be_tagged }), # a key has no ARN before it is made
      jsonencode({
        Sid       = "KeysAreKept"
        Effect    = "Allow"
        Action    = ["kms:DisableKeyRotation", "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"]
        Resource  = local.all_keys
        Condition = local.tagged
      }),
      jsonencode({ Sid = "KeysAreUsed", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.all_keys, Condition = local.tagged }),
      jsonencode({
        Sid       = "ServicesUseKeys" # disks of endpoints, images, queues
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = local.all_keys
        Condition = merge(local.tagged, { Bool = { "kms:GrantIsForAWSResource" = "true" } })
      }),
      jsonencode({
        Sid      = "AliasesAreKept"
        Effect   = "Allow"
        Action   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
        Resource = "arn:${local.partition}:kms:${local.in_region}:alias/${local.name}-*"
      }),
      jsonencode({
        Sid       = "KeysGetAliases"
        Effect    = "Allow"
        Action    = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
        Resource  = local.all_keys
        Condition = local.tagged
      }),
      jsonencode({
        Sid    = "ImagesAreKept"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:CreateRepository", "ecr:DeleteLifecyclePolicy", "ecr:DeleteRepository", "ecr:DeleteRepositoryPolicy",
          "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability", "ecr:PutLifecyclePolicy", "ecr:SetRepositoryPolicy",
          "ecr:TagResource", "ecr:UntagResource", "ecr:UploadLayerPart",
        ]
        Resource = local.images
      }),
      jsonencode({ Sid = "RegistryLogsIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" }), # the action has no resource
      jsonencode({
        Sid      = "ParametersAreWritten"
        Effect   = "Allow"
        Action   = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:GetParameterHistory", "ssm:PutParameter", "ssm:RemoveTagsFromResource"]
        Resource = "arn:${local.partition}:ssm:${local.in_region}:parameter/${local.project}/${var.environment}/*"
      }),
    ],
    # terraform/platform empties the buckets of dev when they are destroyed, and no others.
    var.environment != "dev" ? [] : [jsonencode({
      Sid      = "BucketsAreEmptied"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucketVersions"]
      Resource = "arn:${local.partition}:s3:::${local.name}-*"
    })],
  )

  # The boundary denies all of this for the roles of jobs.
  compute = concat(
    [
      jsonencode({
        Sid       = "RolesAreMade" # within the boundary only, whichever it is
        Effect    = "Allow"
        Action    = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"]
        Resource  = "${local.iam}:role/${local.project}/${local.name}-*"
        Condition = { StringEquals = { "iam:PermissionsBoundary" = local.boundary } }
      }),
      jsonencode({
        Sid      = "RolesAreKept"
        Effect   = "Allow"
        Action   = ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateRole", "iam:UpdateRoleDescription"]
        Resource = "${local.iam}:role/${local.project}/${local.name}-*"
      }),
      jsonencode({
        Sid      = "RolesArePassed"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = "${local.iam}:role/${local.project}/${local.name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = [
          "apigateway.amazonaws.com", "backup.amazonaws.com", "events.amazonaws.com", "sagemaker.amazonaws.com", "scheduler.amazonaws.com", "states.amazonaws.com", "vpc-flow-logs.amazonaws.com",
        ] } }
      }),
      jsonencode({
        Sid       = "ServicesGetTheirRoles"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "${local.iam}:role/aws-service-role/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = ["apidestinations.events.amazonaws.com", "sagemaker.application-autoscaling.amazonaws.com"] } }
      }),
      jsonencode({
        Sid    = "ModelsAreServed"
        Effect = "Allow"
        Action = [
          "sagemaker:AddTags", "sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:CreateModel", "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel",
          "sagemaker:DeleteTags", "sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync", "sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities",
        ]
        Resource = [for kind in ["endpoint", "endpoint-config", "model"] : "${local.sagemaker}:${kind}/${local.name}*"]
      }),
      jsonencode({
        Sid      = "GroupIsKept"
        Effect   = "Allow"
        Action   = ["sagemaker:AddTags", "sagemaker:CreateModelPackageGroup", "sagemaker:DeleteModelPackageGroup", "sagemaker:DeleteModelPackageGroupPolicy", "sagemaker:DeleteTags", "sagemaker:PutModelPackageGroupPolicy"]
        Resource = local.versions[0]
      }),
      jsonencode({ Sid = "FilesAreRead", Effect = "Allow", Action = "s3:GetObject", Resource = ["${local.artifacts}/registry/${local.group}/*", "${local.artifacts}/${local.group}/*"] }),
      jsonencode({
        Sid    = "ScalingIsSet"
        Effect = "Allow"
        Action = [
          "application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeleteScheduledAction", "application-autoscaling:DeregisterScalableTarget", "application-autoscaling:PutScalingPolicy",
          "application-autoscaling:PutScheduledAction", "application-autoscaling:RegisterScalableTarget",
        ]
        Resource  = "arn:${local.partition}:application-autoscaling:${local.in_region}:scalable-target/*" # AWS chooses the name
        Condition = { StringEquals = { "application-autoscaling:service-namespace" = "sagemaker" } }
      }),
      jsonencode({
        Sid       = "ScalingIsTagged"
        Effect    = "Allow"
        Action    = "application-autoscaling:TagResource"
        Resource  = "arn:${local.partition}:application-autoscaling:${local.in_region}:scalable-target/*"
        Condition = local.to_be_tagged
      }),
      jsonencode({
        Sid    = "BatchIsBuilt"
        Effect = "Allow"
        Action = [
          "scheduler:CreateSchedule", "scheduler:CreateScheduleGroup", "scheduler:DeleteSchedule", "scheduler:DeleteScheduleGroup", "scheduler:TagResource", "scheduler:UntagResource", "scheduler:UpdateSchedule",
          "states:CreateStateMachine", "states:DeleteStateMachine", "states:StartExecution", "states:TagResource", "states:UntagResource", "states:UpdateStateMachine",
        ]
        Resource = [
          "arn:${local.partition}:scheduler:${local.in_region}:schedule/${local.name}-*/${local.name}-*", "arn:${local.partition}:scheduler:${local.in_region}:schedule-group/${local.name}-*",
          "arn:${local.partition}:states:${local.in_region}:stateMachine:${local.name}-*",
        ]
      }),
    ],
    # Where models are trained, people decide on them, not jobs; elsewhere a job copies what was approved there.
    local.trains ? [] : [
      jsonencode({ Sid = "CopiesAreRegistered", Effect = "Allow", Action = ["sagemaker:AddTags", "sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"], Resource = local.versions }),
      jsonencode({ Sid = "CopiesAreWritten", Effect = "Allow", Action = ["s3:AbortMultipartUpload", "s3:PutObject"], Resource = "${local.artifacts}/registry/${local.group}/*" }),
      jsonencode({
        Sid      = "RecordsImagesArePulled"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${local.partition}:ecr:${local.region}:${local.record_account}:repository/${local.record_name}"
      }),
    ],
  )

  events = [
    jsonencode({
      Sid    = "AlarmsAndLogsAreKept"
      Effect = "Allow"
      Action = [
        "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutCompositeAlarm", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource",
        "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
      ]
      Resource = [
        "arn:${local.partition}:cloudwatch:${local.in_region}:alarm:${local.name}-*",
        "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${local.name}",
        "arn:${local.partition}:logs:${local.in_region}:log-group:*${local.name}*",
      ]
    }),
    jsonencode({
      Sid      = "KnowNoResource" # delivery of logs, subscriptions; these actions have none
      Effect   = "Allow"
      Action   = ["logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DeleteResourcePolicy", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"]
      Resource = "*"
    }),
    jsonencode({
      Sid    = "MessagesAreBuilt"
      Effect = "Allow"
      Action = [
        "events:CreateApiDestination", "events:CreateConnection", "events:DeleteApiDestination", "events:DeleteConnection", "events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets",
        "events:TagResource", "events:UntagResource", "events:UpdateApiDestination", "events:UpdateConnection", "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe",
        "sns:TagResource", "sns:UntagResource", "sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue",
      ]
      Resource = [
        "arn:${local.partition}:events:${local.in_region}:*/${local.name}-*",
        "arn:${local.partition}:sns:${local.in_region}:${local.name}-*",
        "arn:${local.partition}:sqs:${local.in_region}:${local.name}-*",
      ]
    }),
    jsonencode({
      Sid      = "ConnectionsKeepTheirSecret"
      Effect   = "Allow"
      Action   = ["secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"]
      Resource = "arn:${local.partition}:secretsmanager:${local.in_region}:secret:events!connection/${local.name}-*"
    }),
  ]
}
