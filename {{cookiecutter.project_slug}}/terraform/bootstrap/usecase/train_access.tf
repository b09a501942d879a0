# What jobs need where models are trained: to build the image and start the pipeline; and to fetch what was approved, for copies
# in the other environments. Neither decides on a model, nor deploys one. A third role decides, where the settings ask for it.
locals {
  record_is_read = [
    jsonencode({
      Sid      = "VersionsAreRead"
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup"]
      Resource = local.versions
    }),
    jsonencode({ Sid = "ListsKnowNoResource", Effect = "Allow", Action = "sagemaker:ListModelPackages", Resource = "*" }), # the action has no resource
    jsonencode({
      Sid      = "FilesAreRead"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = ["${local.artifacts}/registry/${local.group}/*", "${local.artifacts}/${local.group}/*"]
    }),
    jsonencode({ Sid = "RegistryLogsIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" }), # the action has no resource
    jsonencode({
      Sid      = "FactsAreRead"
      Effect   = "Allow"
      Action   = "ssm:GetParameter"
      Resource = "arn:${local.partition}:ssm:${local.in_region}:parameter/${local.project}/${var.environment}/*"
    }),
  ]

  files_are_decrypted = [
    jsonencode({
      Sid       = "FilesAreDecrypted"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:DescribeKey"]
      Resource  = local.all_keys # keys are known by their alias before they exist
      Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${local.name}-artifacts" } }
    }),
  ]

  versions_are_decided_on = concat(local.record_is_read, local.files_are_decrypted, [
    jsonencode({ Sid = "ModelsAreDecidedOn", Effect = "Allow", Action = "sagemaker:UpdateModelPackage", Resource = local.versions }),
  ])

  record_is_copied = concat(local.record_is_read, local.files_are_decrypted, [
    jsonencode({ Sid = "ImagesArePulled", Effect = "Allow", Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], Resource = local.images }),
  ])

  # Elsewhere a deploy job fetches with its own role what it copies. In another account the policies of bucket, key, repository
  # and group there let it, which terraform/platform makes; status and lists are read with the settings.
  versions_are_fetched = [
    jsonencode({ Sid = "FilesOfTheRecordAreRead", Effect = "Allow", Action = "s3:GetObject", Resource = [for prefix in local.record_prefixes : "${local.record_objects}/${prefix}*"] }),
    jsonencode({
      Sid       = "FilesOfTheRecordAreListed"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = local.record_objects
      Condition = { StringLike = { "s3:prefix" = [for prefix in local.record_prefixes : "${prefix}*"] } }
    }),
    jsonencode({
      Sid      = "FilesOfTheRecordAreDecrypted"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = "arn:${local.partition}:kms:*:${local.record_account}:key/*" # whichever the bucket has: S3 asks for it, on behalf of that bucket
      Condition = {
        StringLike = { "kms:ViaService" = "s3.*", "kms:EncryptionContext:aws:s3:arn" = [local.record_objects, "${local.record_objects}/*"] }
      }
    }),
  ]
  record_prefixes = ["registry/${local.record_group}/", "${local.record_group}/"]

  models_are_trained = concat(local.record_is_read, [
    jsonencode({
      Sid      = "ImagesArePushed"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
      Resource = local.images
    }),
    jsonencode({
      Sid    = "PipelineIsDeployedAndStarted"
      Effect = "Allow"
      Action = [
        "sagemaker:AddTags", "sagemaker:CreatePipeline", "sagemaker:DescribePipeline", "sagemaker:DescribePipelineDefinitionForExecution", "sagemaker:DescribePipelineExecution",
        "sagemaker:ListPipelineExecutionSteps", "sagemaker:ListPipelineExecutions", "sagemaker:ListTags", "sagemaker:StartPipelineExecution", "sagemaker:UpdatePipeline",
      ]
      Resource = ["${local.sagemaker}:pipeline/${local.name}", "${local.sagemaker}:pipeline/${local.name}/*"]
    }),
    jsonencode({
      Sid       = "PipelineRoleIsPassed"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "${local.iam}:role/${local.project}/${local.name}-pipeline"
      Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
    }),
    jsonencode({
      Sid    = "InputsAreReadAndWritten"
      Effect = "Allow"
      Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
      Resource = concat(
        [for kind in ["card", "champion", "code", "contract", "pipeline"] : "${local.artifacts}/${local.project}/${kind}/*"],
        ["${local.data}/${local.project}/data/*"],
      )
    }),
    jsonencode({
      Sid       = "ObjectsAreListed"
      Effect    = "Allow"
      Action    = "s3:ListBucket"
      Resource  = [local.artifacts, local.data]
      Condition = { StringLike = { "s3:prefix" = ["${local.project}/*", "${local.group}/*", "registry/${local.group}/*"] } }
    }),
    jsonencode({
      Sid       = "ObjectsAreEncrypted"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      Resource  = local.all_keys # keys are known by their alias before they exist
      Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = ["alias/${local.name}-artifacts", "alias/${local.name}-data"] } }
    }),
  ])
}
