# What the job needs that builds the image and starts the pipeline. It decides on no model, and deploys none.
locals {
  artifacts = "arn:${local.partition}:s3:::${local.name}-artifacts-${local.account}"
  data      = "arn:${local.partition}:s3:::${local.name}-data-${local.account}"
  # Keys are known by their alias before they exist.
  keys = "arn:${local.partition}:kms:${local.region}:${local.account}:key/*"

  trains = [
    jsonencode({ Sid = "RegistryLogsIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" }), # the action has no resource
    jsonencode({
      Sid      = "ImagesArePushed"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]
      Resource = "arn:${local.partition}:ecr:${local.region}:${local.account}:repository/${local.name}"
    }),
    jsonencode({ Sid = "FactsAreRead", Effect = "Allow", Action = "ssm:GetParameter", Resource = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${local.project}/${var.environment}/*" }),
    jsonencode({
      Sid      = "PipelineIsDeployedAndStarted"
      Effect   = "Allow"
      Action   = ["sagemaker:AddTags", "sagemaker:CreatePipeline", "sagemaker:DescribePipeline", "sagemaker:DescribePipelineDefinitionForExecution", "sagemaker:DescribePipelineExecution", "sagemaker:ListPipelineExecutionSteps", "sagemaker:ListPipelineExecutions", "sagemaker:ListTags", "sagemaker:StartPipelineExecution", "sagemaker:UpdatePipeline"]
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
      Sid      = "VersionsAreRead"
      Effect   = "Allow"
      Action   = ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup"]
      Resource = ["${local.sagemaker}:model-package-group/${local.group}", "${local.sagemaker}:model-package/${local.group}/*"]
    }),
    jsonencode({ Sid = "ListsKnowNoResource", Effect = "Allow", Action = "sagemaker:ListModelPackages", Resource = "*" }), # the action has no resource
    jsonencode({
      Sid    = "InputsAreReadAndWritten"
      Effect = "Allow"
      Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
      Resource = concat(
        [for kind in ["card", "champion", "code", "contract", "pipeline"] : "${local.artifacts}/${local.project}/${kind}/*"],
        ["${local.data}/${local.project}/data/*"],
      )
    }),
    jsonencode({ Sid = "EvidenceIsRead", Effect = "Allow", Action = "s3:GetObject", Resource = ["${local.artifacts}/registry/${local.group}/*", "${local.artifacts}/${local.group}/*"] }),
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
      Resource  = local.keys
      Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = ["alias/${local.name}-artifacts", "alias/${local.name}-data"] } }
    }),
  ]
}
