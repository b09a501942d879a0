# Ways to AWS services that do not leave its network.
locals {
  lacking             = sort(setsubtract(concat(["s3"], var.settings.interface_endpoints), local.new ? [] : var.settings.existing_endpoints))
  interface_endpoints = setsubtract(local.lacking, ["s3"])
}

# Costs nothing. Only buckets of the account can be reached, and those in which AWS keeps the layers of its images.
resource "aws_vpc_endpoint" "s3" {
  count = contains(local.lacking, "s3") ? 1 : 0

  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = local.new ? [for zone in sort(keys(local.zones)) : aws_route_table.private[zone].id] : var.settings.route_table_ids

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "BucketsOfTheAccount"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:*" # what a caller may do is decided by its role and the bucket
        Resource  = "*"
        Condition = { StringEquals = { "s3:ResourceAccount" = var.account } }
      },
      {
        Sid       = "LayersOfImages"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = "arn:${data.aws_partition.current.partition}:s3:::prod-${var.region}-starport-layer-bucket/*"
      },
    ]
  })

  tags = { Name = "${var.name}-s3" }
}

# Each costs by the hour and zone.
resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_endpoints

  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = local.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CallersOfTheAccount"
      Effect    = "Allow"
      Principal = "*"
      Action    = "*" # what a caller may do is decided by its role
      Resource  = "*"
      Condition = { StringEquals = { "aws:PrincipalAccount" = var.account } }
    }]
  })

  tags = { Name = "${var.name}-${each.key}" }
}
