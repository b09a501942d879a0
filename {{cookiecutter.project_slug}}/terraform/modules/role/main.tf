resource "aws_iam_role" "this" {
  name                 = var.name
  path                 = "/${var.project}/"
  description          = var.purpose
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = var.service == null ? { AWS = var.people } : { Service = [var.service] }
      # A service that works for someone else's account must not be talked into using this role.
      Condition = var.service == null || var.account == null ? {} : { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "work"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in var.statements : jsondecode(statement)]
  })
}

resource "aws_iam_role_policy" "ids" {
  count = length(var.id_statements) > 0 ? 1 : 0

  name = "ids"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in var.id_statements : jsondecode(statement)]
  })
}
