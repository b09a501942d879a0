# Who may do what in AWS: a role per kind of job, for the services that schedule them, and for people.
data "aws_partition" "current" {}

locals {
  account   = local.config.aws_account
  region    = local.config.aws_region
  partition = data.aws_partition.current.partition

  # Of terraform/bootstrap/usecase, unless the account has one of its own.
  permissions_boundary = coalesce(
    local.config.account.permissions_boundary,
    "arn:${local.partition}:iam::${local.account}:policy/${local.project}/${local.name}-boundary",
  )

  # Deploy roles of environments in other accounts: they copy what is registered here first, and read whether it is still approved.
  copiers = local.config.training_environment != var.environment ? [] : sort([
    for environment, account in module.settings.accounts :
    "arn:${local.partition}:iam::${account}:role/${local.project}/${local.project}-${environment}-deploy"
    if account != local.account
  ])
  copying_accounts = distinct([for arn in local.copiers : "arn:${local.partition}:iam::${split(":", arn)[4]}:root"])

  group = local.config.model_package_group
  # ARNs by names rather than by attributes, so that a plan shows who may do what.
  objects = { for kind, bucket in module.bucket : kind => "arn:${local.partition}:s3:::${bucket.name}" }
  images  = concat([for repository in aws_ecr_repository.this : "arn:${local.partition}:ecr:${local.region}:${local.account}:repository/${repository.name}"], local.managed_images)
  # AWS keeps its images in an account of its own per region.
  managed_images = [for _ in compact([local.config.container == "own" ? "" : "managed"]) : "arn:${local.partition}:ecr:${local.region}:*:repository/sagemaker-xgboost"]
  versions       = ["${local.sagemaker}:model-package-group/${local.group}", "${local.sagemaker}:model-package/${local.group}/*"]
  sagemaker      = "arn:${local.partition}:sagemaker:${local.region}:${local.account}"

  # What containers of all kinds need, beside their data.
  container_statements = [
    jsonencode({
      Sid      = "ImagesArePulled"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = local.images
    }),
    jsonencode({
      Sid      = "KnowNoResource" # these actions have none
      Effect   = "Allow"
      Action   = ["ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ecr:GetAuthorizationToken"]
      Resource = "*"
    }),
    jsonencode({
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/sagemaker/*"
    }),
    jsonencode({
      Sid       = "Metrics"
      Effect    = "Allow"
      Action    = "cloudwatch:PutMetricData"
      Resource  = "*" # the action has no resource: the namespace bounds it
      Condition = { StringLike = { "cloudwatch:namespace" = ["/aws/sagemaker/*", "aws/sagemaker/*", local.project] } }
    }),
  ]

  in_the_network = [
    jsonencode({
      Sid       = "VolumesAreEncrypted"
      Effect    = "Allow"
      Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"]
      Resource  = module.key["volumes"].arn
      Condition = { BoolIfExists = { "kms:GrantIsForAWSResource" = "true" } }
    }),
    jsonencode({
      Sid    = "NetworkInterfaces"
      Effect = "Allow"
      Action = ["ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"]
      Resource = concat(
        ["arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*"],
        [for id in module.network.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:subnet/${id}"],
        [for id in module.network.security_group_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:security-group/${id}"],
      )
    }),
  ]
  artifacts_are_decrypted = [
    jsonencode({
      Sid      = "ArtifactsAreDecrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource = module.key["artifacts"].arn
    }),
  ]
  data_is_decrypted = [
    jsonencode({
      Sid      = "DataIsDecrypted"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey"]
      Resource = module.key["data"].arn
    }),
  ]

  artifacts_are_read = [
    jsonencode({
      Sid    = "ArtifactsAreRead"
      Effect = "Allow"
      Action = "s3:GetObject"
      Resource = [
        for prefix in ["registry/${local.group}", local.group, "${local.project}/code", "${local.project}/contract", "${local.project}/card", "${local.project}/champion", "${local.project}/pipeline"] :
        "${local.objects["artifacts"]}/${prefix}/*"
      ]
    }),
    jsonencode({
      Sid       = "ArtifactsAreListed"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = local.objects["artifacts"]
      Condition = { StringLike = { "s3:prefix" = ["registry/${local.group}/*", "${local.group}/*", "${local.project}/*"] } }
    }),
  ]
  facts_are_read = [
    jsonencode({
      Sid      = "FactsAreRead"
      Effect   = "Allow"
      Action   = "ssm:GetParameter"
      Resource = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${local.project}/${var.environment}/*"
    }),
  ]
  versions_are_read = [
    jsonencode({
      Sid      = "VersionsAreRead"
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup"]
      Resource = local.versions
    }),
    jsonencode({
      Sid      = "ListsKnowNoResource" # this action has none
      Effect   = "Allow"
      Action   = "sagemaker:ListModelPackages"
      Resource = "*"
    }),
  ]
  results_are_written = [
    jsonencode({
      Sid      = "ResultsAreWritten"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
      Resource = "${local.objects["artifacts"]}/${local.group}/*"
    }),
  ]
  data_is_read = [
    jsonencode({
      Sid      = "DataIsRead"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "${local.objects["data"]}/${local.project}/*"
    }),
    jsonencode({
      Sid       = "DataIsListed"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = local.objects["data"]
      Condition = { StringLike = { "s3:prefix" = "${local.project}/*" } }
    }),
  ]
  starts_jobs = [
    jsonencode({
      Sid    = "JobsAreStarted"
      Effect = "Allow"
      Action = [
        "sagemaker:AddTags", "sagemaker:CreateModel", "sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob", "sagemaker:CreateTransformJob",
        "sagemaker:DeleteModel", "sagemaker:DescribeModel", "sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob",
        "sagemaker:DescribeTransformJob", "sagemaker:StopProcessingJob", "sagemaker:StopTrainingJob", "sagemaker:StopTransformJob",
      ]
      # Pipelines names what it starts by itself.
      Resource = [for kind in ["model", "processing-job", "training-job", "transform-job"] : "${local.sagemaker}:${kind}/pipelines-*"]
    }),
    jsonencode({
      Sid      = "VersionsAreRegistered"
      Effect   = "Allow"
      Action   = ["sagemaker:AddTags", "sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup"]
      Resource = local.versions
    }),
    jsonencode({
      Sid       = "RolesArePassed"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = [for role in ["processing", "training", "inference"] : "arn:${local.partition}:iam::${local.account}:role/${local.project}/${local.name}-${role}"]
      Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
    }),
  ]

  service_roles = {
    processing = {
      service    = "sagemaker.amazonaws.com"
      purpose    = "Containers that prepare data, evaluate and explain"
      statements = concat(local.container_statements, local.artifacts_are_read, local.results_are_written, local.data_is_read)
      ids        = concat(local.in_the_network, local.artifacts_are_decrypted, local.data_is_decrypted)
    }
    training = {
      service    = "sagemaker.amazonaws.com"
      purpose    = "Containers that train"
      statements = concat(local.container_statements, local.artifacts_are_read, local.results_are_written)
      ids        = concat(local.in_the_network, local.artifacts_are_decrypted)
    }
    inference = {
      service = "sagemaker.amazonaws.com"
      purpose = "Containers that serve"
      statements = concat(local.container_statements, local.artifacts_are_read, [
        jsonencode({
          Sid      = "RequestsAndAnswersAreWritten"
          Effect   = "Allow"
          Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
          Resource = [for kind in ["async", "batch", "capture"] : "${local.objects["capture"]}/${local.project}/${kind}/*"]
        }),
        jsonencode({
          Sid      = "RequestsInFilesAreRead"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = [for kind in ["async", "batch"] : "${local.objects["capture"]}/${local.project}/${kind}/*"]
        }),
        jsonencode({
          Sid       = "RequestsInFilesAreListed"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.objects["capture"]
          Condition = { StringLike = { "s3:prefix" = [for kind in ["async", "batch"] : "${local.project}/${kind}/*"] } }
        }),
        jsonencode({
          Sid      = "AsynchronousAnswersAreTold"
          Effect   = "Allow"
          Action   = "sns:Publish"
          Resource = local.topic_arns["async"]
        }),
        jsonencode({
          Sid      = "AlarmsOfARollOutAreRead" # SageMaker watches them with the role of the model
          Effect   = "Allow"
          Action   = "cloudwatch:DescribeAlarms"
          Resource = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${local.name}-*"
        }),
      ])
      ids = concat(local.in_the_network, local.artifacts_are_decrypted, [
        jsonencode({
          Sid      = "RequestsAndAnswersAreEncrypted"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
          Resource = module.key["capture"].arn
        }),
        jsonencode({
          Sid      = "MessagesAreEncrypted"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = module.key["logs"].arn
        }),
      ])
    }
    pipeline = {
      service    = "sagemaker.amazonaws.com"
      purpose    = "SageMaker Pipelines, which starts the jobs"
      statements = concat(local.starts_jobs, local.artifacts_are_read, local.results_are_written, module.guardrails.statements)
      ids        = local.artifacts_are_decrypted
    }
    batch = {
      service = "states.amazonaws.com"
      purpose = "Step Functions, which starts batch transform jobs"
      statements = [
        jsonencode({
          Sid      = "TransformJobsAreStarted"
          Effect   = "Allow"
          Action   = ["sagemaker:AddTags", "sagemaker:CreateTransformJob", "sagemaker:DescribeTransformJob", "sagemaker:StopTransformJob"]
          Resource = ["${local.sagemaker}:transform-job/${local.name}-*", "${local.sagemaker}:model/${local.name}-*"]
        }),
        jsonencode({
          Sid      = "StepFunctionsHearsOfTheirEnd" # the rule that Step Functions keeps in each account
          Effect   = "Allow"
          Action   = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
          Resource = "arn:${local.partition}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventsForSageMakerTransformJobsRule"
        }),
        jsonencode({
          Sid      = "KnowNoResource" # delivery of logs and traces; these actions have none
          Effect   = "Allow"
          Action   = ["logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery", "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
          Resource = "*"
        }),
      ]
      ids = []
    }
    scheduler = {
      service = "scheduler.amazonaws.com"
      purpose = "EventBridge Scheduler, which starts batch runs"
      statements = [
        jsonencode({
          Sid      = "BatchIsStarted"
          Effect   = "Allow"
          Action   = "states:StartExecution"
          Resource = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.name}-batch"
        }),
        jsonencode({
          Sid      = "WhatCannotBeStartedIsKept"
          Effect   = "Allow"
          Action   = "sqs:SendMessage"
          Resource = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.name}-unstarted"
        }),
      ]
      ids = [
        jsonencode({
          Sid      = "MessagesAreEncrypted"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = module.key["logs"].arn
        }),
      ]
    }
  }

  people_roles = {
    steward = {
      people  = local.config.people.stewards
      purpose = "People who approve and reject models"
      statements = concat(module.guardrails_of_stewards.statements, local.facts_are_read, local.versions_are_read, local.artifacts_are_read, [
        jsonencode({
          Sid      = "ModelsAreDecidedOn"
          Effect   = "Allow"
          Action   = "sagemaker:UpdateModelPackage"
          Resource = local.versions
        }),
      ])
      ids = local.artifacts_are_decrypted
    }
    data-scientist = {
      people  = local.config.people.data_scientists
      purpose = "People who push data, start pipelines and look at results"
      statements = concat(module.guardrails.statements, local.facts_are_read, local.versions_are_read, local.artifacts_are_read, local.data_is_read, [
        jsonencode({
          Sid    = "PipelinesAreStarted"
          Effect = "Allow"
          Action = [
            "sagemaker:DescribePipeline", "sagemaker:DescribePipelineExecution", "sagemaker:ListPipelineExecutions", "sagemaker:ListPipelineExecutionSteps",
            "sagemaker:ListTags", "sagemaker:StartPipelineExecution", "sagemaker:StopPipelineExecution",
          ]
          Resource = ["${local.sagemaker}:pipeline/${local.name}", "${local.sagemaker}:pipeline/${local.name}/*"]
        }),
        jsonencode({
          Sid      = "ImagesAreFound"
          Effect   = "Allow"
          Action   = "ecr:BatchGetImage"
          Resource = local.images
        }),
        jsonencode({
          Sid    = "InputsAreWritten"
          Effect = "Allow"
          Action = ["s3:AbortMultipartUpload", "s3:PutObject"]
          Resource = concat(
            [for kind in ["card", "champion", "code", "contract"] : "${local.objects["artifacts"]}/${local.project}/${kind}/*"],
            ["${local.objects["data"]}/${local.project}/data/*"],
          )
        }),
        jsonencode({
          Sid      = "LogsAreRead"
          Effect   = "Allow"
          Action   = ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"]
          Resource = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/sagemaker/*"
        }),
      ])
      ids = concat(local.artifacts_are_decrypted, local.data_is_decrypted, [
        jsonencode({
          Sid      = "InputsAreEncrypted"
          Effect   = "Allow"
          Action   = "kms:GenerateDataKey"
          Resource = module.key["data"].arn
        }),
      ])
    }
  }
}

module "guardrails" {
  source = "../modules/guardrails"

  instance_types = local.config.instance_types
}

module "guardrails_of_stewards" {
  source = "../modules/guardrails"

  instance_types = local.config.instance_types
  may_decide     = true
}

module "role" {
  source   = "../modules/role"
  for_each = local.service_roles

  name                 = "${local.name}-${each.key}"
  project              = local.project
  purpose              = each.value.purpose
  service              = each.value.service
  account              = local.account
  statements           = each.value.statements
  id_statements        = each.value.ids
  permissions_boundary = local.permissions_boundary
}

# Nobody is named under `people` of config/: no role.
module "people" {
  source   = "../modules/role"
  for_each = { for name, role in local.people_roles : name => role if length(role.people) > 0 }

  name                 = "${local.name}-${each.key}"
  project              = local.project
  purpose              = each.value.purpose
  people               = each.value.people
  account              = local.account
  statements           = each.value.statements
  id_statements        = each.value.ids
  permissions_boundary = local.permissions_boundary
}
