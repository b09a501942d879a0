data "aws_partition" "current" {}

# One key for everything this use case stores in the environment: data, models, images.
resource "aws_kms_key" "this" {
  description             = "Data, models and images of ${local.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # Leaves the decision to the IAM policies of the account; without it nobody could administer the key.
      Sid       = "AccountDecides"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${local.config.aws_account}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.this.key_id
}
