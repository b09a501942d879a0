# What Terraform needs to build terraform/platform and terraform/serving. Names begin with project and environment, and what has
# no name of its own choosing is known by the tags that every resource gets.
locals {
  in_region     = "${local.region}:${local.account}"
  tagged        = { StringEquals = { "aws:ResourceTag/Project" = local.project, "aws:ResourceTag/Environment" = var.environment } }
  to_be_tagged  = { StringEquals = { "aws:RequestTag/Project" = local.project, "aws:RequestTag/Environment" = var.environment } }
  other_records = [for account in distinct(values(module.settings.accounts)) : account if account != local.account]

  # Reading is bounded by the account. Terraform reads each attribute of what it made; most of these actions have no resource.
  all_is_read = [
    jsonencode({
      Sid    = "ConfigurationIsRead"
      Effect = "Allow"
      Action = [
        "apigateway:GET", "application-autoscaling:Describe*", "application-autoscaling:ListTagsForResource", "backup:Describe*", "backup:Get*", "backup:List*", "budgets:ViewBudget", "budgets:ListTagsForResource",
        "cloudtrail:DescribeTrails", "cloudtrail:Get*", "cloudtrail:ListTags", "cloudwatch:Describe*", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource",
        "config:Describe*", "config:ListTagsForResource", "ec2:Describe*", "ecr:Describe*", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource",
        "events:Describe*", "events:List*", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
        "kms:Describe*", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListResourceTags", "logs:Describe*", "logs:ListTagsForResource",
        "sagemaker:Describe*", "sagemaker:GetModelPackageGroupPolicy", "sagemaker:List*", "scheduler:GetSchedule", "scheduler:ListTagsForResource", "servicecatalog:Describe*", "servicecatalog:List*",
        "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes", "sns:ListTagsForResource", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "ssm:DescribeParameters", "states:Describe*", "states:List*", "states:ValidateStateMachineDefinition",
        "wafv2:Get*", "wafv2:List*",
      ]
      Resource = "*"
    }),
    jsonencode({
      Sid    = "BucketsAreRead" # their settings, never their objects
      Effect = "Allow"
      Action = [
        "s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket",
      ]
      Resource = "arn:${local.partition}:s3:::${local.name}-*"
    }),
    jsonencode({ Sid = "FactsAreRead", Effect = "Allow", Action = ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"], Resource = "arn:${local.partition}:ssm:${local.in_region}:parameter/${local.project}/${var.environment}/*" }),
  ]

  storage = [
    jsonencode({
      Sid    = "BucketsAreBuilt"
      Effect = "Allow"
      Action = [
        "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketLogging", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
      ]
      Resource = "arn:${local.partition}:s3:::${local.name}-*"
    }),
    jsonencode({ Sid = "KeysAreMade", Effect = "Allow", Action = "kms:CreateKey", Resource = "*", Condition = local.to_be_tagged }), # a key has no name before it is made
    jsonencode({
      Sid       = "KeysAreKept"
      Effect    = "Allow"
      Action    = ["kms:CreateGrant", "kms:DisableKeyRotation", "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription", "kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "arn:${local.partition}:kms:${local.in_region}:key/*"
      Condition = local.tagged
    }),
    jsonencode({
      Sid      = "AliasesAreKept"
      Effect   = "Allow"
      Action   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
      Resource = ["arn:${local.partition}:kms:${local.in_region}:alias/${local.name}-*", "arn:${local.partition}:kms:${local.in_region}:key/*"]
    }),
    jsonencode({
      Sid      = "ImagesAreKept"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:CreateRepository", "ecr:DeleteLifecyclePolicy", "ecr:DeleteRepository", "ecr:DeleteRepositoryPolicy", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:PutImageScanningConfiguration", "ecr:PutLifecyclePolicy", "ecr:SetRepositoryPolicy", "ecr:TagResource", "ecr:UploadLayerPart"]
      Resource = "arn:${local.partition}:ecr:${local.in_region}:repository/${local.name}"
    }),
    jsonencode({ Sid = "RegistryLogsIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" }), # the action has no resource
    jsonencode({
      Sid      = "ParametersAreWritten"
      Effect   = "Allow"
      Action   = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:GetParameterHistory", "ssm:PutParameter", "ssm:RemoveTagsFromResource"]
      Resource = "arn:${local.partition}:ssm:${local.in_region}:parameter/${local.project}/${var.environment}/*"
    }),
  ]

  network = [
    jsonencode({
      Sid    = "NetworkIsMade"
      Effect = "Allow"
      Action = ["ec2:AllocateAddress", "ec2:CreateFlowLogs", "ec2:CreateInternetGateway", "ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateVpc", "ec2:CreateVpcEndpoint"]
      # Parts that a new one is made of, such as the VPC of a subnet, are in the same request: those must be of the use case too, or new.
      Resource = "arn:${local.partition}:ec2:${local.in_region}:*"
    }),
    jsonencode({
      Sid       = "NetworkIsTaggedWhenMade"
      Effect    = "Allow"
      Action    = "ec2:CreateTags"
      Resource  = "arn:${local.partition}:ec2:${local.in_region}:*"
      Condition = local.to_be_tagged
    }),
    jsonencode({
      Sid    = "NetworkIsKept"
      Effect = "Allow"
      Action = [
        "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateRoute", "ec2:DeleteFlowLogs",
        "ec2:DeleteInternetGateway", "ec2:DeleteNatGateway", "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpc",
        "ec2:DeleteVpcEndpoints", "ec2:DetachInternetGateway", "ec2:DisassociateAddress", "ec2:DisassociateRouteTable", "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute",
        "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint", "ec2:ReleaseAddress", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
      ]
      Resource  = "arn:${local.partition}:ec2:${local.in_region}:*"
      Condition = local.tagged
    }),
  ]

  compute = [
    jsonencode({
      Sid    = "RolesAreKept"
      Effect = "Allow"
      Action = ["iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription", "iam:ListInstanceProfilesForRole"]
      # The boundary denies it for the roles of GitLab's jobs.
      Resource = "${local.iam}:role/${local.project}/${local.name}-*"
    }),
    jsonencode({
      Sid      = "RolesArePassed"
      Effect   = "Allow"
      Action   = "iam:PassRole"
      Resource = "${local.iam}:role/${local.project}/${local.name}-*"
      Condition = { StringEquals = { "iam:PassedToService" = [
        "apigateway.amazonaws.com", "backup.amazonaws.com", "cloudtrail.amazonaws.com", "events.amazonaws.com", "sagemaker.amazonaws.com", "scheduler.amazonaws.com", "states.amazonaws.com", "vpc-flow-logs.amazonaws.com",
      ] } }
    }),
    jsonencode({
      Sid       = "ServicesGetTheirRoles"
      Effect    = "Allow"
      Action    = "iam:CreateServiceLinkedRole"
      Resource  = "${local.iam}:role/aws-service-role/*"
      Condition = { StringEquals = { "iam:AWSServiceName" = ["sagemaker.application-autoscaling.amazonaws.com", "ops.apigateway.amazonaws.com"] } }
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
      Sid      = "VersionsAreCopied"
      Effect   = "Allow"
      Action   = ["sagemaker:AddTags", "sagemaker:CreateModelPackage", "sagemaker:CreateModelPackageGroup", "sagemaker:DeleteModelPackageGroup", "sagemaker:DeleteModelPackageGroupPolicy", "sagemaker:PutModelPackageGroupPolicy", "sagemaker:UpdateModelPackage"]
      Resource = ["${local.sagemaker}:model-package-group/${local.group}", "${local.sagemaker}:model-package/${local.group}/*"]
    }),
    jsonencode({
      Sid    = "CopiesAreReadAndWritten"
      Effect = "Allow"
      Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
      Resource = concat(
        ["${local.artifacts}/registry/${local.group}/*", "${local.artifacts}/${local.group}/*"],
        [for account in local.other_records : "arn:${local.partition}:s3:::${local.project}-${local.config.training_environment}-artifacts-${account}/registry/${local.group}/*"],
      )
    }),
    jsonencode({
      Sid      = "ScalingIsSet"
      Effect   = "Allow"
      Action   = ["application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeleteScheduledAction", "application-autoscaling:DeregisterScalableTarget", "application-autoscaling:PutScalingPolicy", "application-autoscaling:PutScheduledAction", "application-autoscaling:RegisterScalableTarget", "application-autoscaling:TagResource"]
      Resource = "arn:${local.partition}:application-autoscaling:${local.in_region}:scalable-target/*"
    }),
    jsonencode({
      Sid      = "BatchIsBuilt"
      Effect   = "Allow"
      Action   = ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:TagResource", "scheduler:UpdateSchedule", "states:CreateStateMachine", "states:DeleteStateMachine", "states:StartExecution", "states:TagResource", "states:UntagResource", "states:UpdateStateMachine"]
      Resource = ["arn:${local.partition}:scheduler:${local.in_region}:schedule/*/${local.name}-*", "arn:${local.partition}:states:${local.in_region}:stateMachine:${local.name}-*"]
    }),
  ]

  events = [
    jsonencode({
      Sid    = "AlarmsAndLogsAreKept"
      Effect = "Allow"
      Action = [
        "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutCompositeAlarm", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource",
        "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
      ]
      Resource = [
        "arn:${local.partition}:cloudwatch:${local.in_region}:alarm:${local.name}-*",
        "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${local.name}*",
        "arn:${local.partition}:logs:${local.in_region}:log-group:*${local.name}*",
      ]
    }),
    jsonencode({
      Sid      = "KnowNoResource" # delivery of logs; these actions have none
      Effect   = "Allow"
      Action   = ["logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery"]
      Resource = "*"
    }),
    jsonencode({
      Sid    = "MessagesAreBuilt"
      Effect = "Allow"
      Action = [
        "events:CreateApiDestination", "events:CreateConnection", "events:DeleteApiDestination", "events:DeleteConnection", "events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets",
        "events:TagResource", "events:UntagResource", "events:UpdateApiDestination", "events:UpdateConnection", "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource",
        "sns:Unsubscribe", "sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue",
      ]
      Resource = [
        for service in ["events", "sns", "sqs"] : {
          events = "arn:${local.partition}:events:${local.in_region}:*/${local.name}-*"
          sns    = "arn:${local.partition}:sns:${local.in_region}:${local.name}-*"
          sqs    = "arn:${local.partition}:sqs:${local.in_region}:${local.name}-*"
        }[service]
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
