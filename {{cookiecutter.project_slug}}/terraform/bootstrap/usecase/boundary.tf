# The most that a role of this use case can ever do: what it is given lies within, and it cannot widen itself.
resource "aws_iam_policy" "boundary" {
  count = local.config.account.permissions_boundary == "" ? 1 : 0

  name        = "${local.name}-boundary"
  path        = "/${local.project}/"
  description = "Bounds every role of ${local.name}; grants nothing by itself"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # A boundary grants nothing: here stand the services, and the policy of each role says which actions on what.
        Sid    = "Services"
        Effect = "Allow"
        Action = [for service in [
          "apigateway", "application-autoscaling", "athena", "backup", "budgets", "cloudtrail", "cloudwatch", "config", "dynamodb", "ec2", "ecr",
          "events", "glue", "kms", "logs", "s3", "sagemaker", "sagemaker-mlflow", "scheduler", "servicecatalog", "sns", "sqs", "ssm", "states", "sts", "wafv2", "xray",
        ] : "${service}:*"]
        Resource = "*"
      },
      {
        Sid      = "SecretsOfEventBridge" # the token of a connection, which EventBridge keeps as a secret
        Effect   = "Allow"
        Action   = ["secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"]
        Resource = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:events!connection/${local.name}-*"
      },
      {
        Sid      = "RolesOfTheUseCase"
        Effect   = "Allow"
        Action   = "iam:*" # its own policy says which
        Resource = "${local.iam}:role/${local.project}/${local.name}-*"
      },
      {
        Sid      = "RolesOfServices" # of API Gateway, autoscaling and Studio, made by AWS on first use
        Effect   = "Allow"
        Action   = "iam:CreateServiceLinkedRole"
        Resource = "${local.iam}:role/aws-service-role/*"
      },
      {
        Sid       = "RolesOnlyWithinTheBoundary"
        Effect    = "Deny"
        Action    = ["iam:CreateRole", "iam:PutRolePermissionsBoundary"]
        Resource  = "*"
        Condition = { StringNotEquals = { "iam:PermissionsBoundary" = "${local.iam}:policy/${local.project}/${local.name}-boundary" } }
      },
      {
        Sid      = "BoundaryStays"
        Effect   = "Deny"
        Action   = ["iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRolePermissionsBoundary", "iam:SetDefaultPolicyVersion"]
        Resource = "*"
      },
      {
        Sid      = "JobsDoNotChangeTheirRoles" # those of GitLab are this root's, and a person applies it
        Effect   = "Deny"
        Action   = ["iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole"]
        Resource = [for role in ["plan", "train", "deploy"] : "${local.iam}:role/${local.project}/${local.name}-${role}"]
      },
    ]
  })
}
