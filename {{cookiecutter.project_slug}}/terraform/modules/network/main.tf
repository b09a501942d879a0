data "aws_partition" "current" {}

# Where jobs and endpoints run: private subnets of a new VPC, without a way to the internet unless `nat`, or of an existing one.
locals {
  new   = var.settings.vpc_id == ""
  zones = local.new ? { for index, letter in sort(distinct(var.settings.zones)) : "${var.region}${letter}" => index } : {}
  nat   = var.settings.nat ? local.zones : {}

  vpc_id     = local.new ? aws_vpc.this[0].id : var.settings.vpc_id
  subnet_ids = local.new ? [for zone in sort(keys(local.zones)) : aws_subnet.private[zone].id] : sort(distinct(var.settings.subnet_ids))
}

resource "aws_vpc" "this" {
  count = local.new ? 1 : 0

  cidr_block           = var.settings.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # names of the interface endpoints

  tags = { Name = var.name }
}

# Whoever forgets to name a security group gets one that lets nothing through.
resource "aws_default_security_group" "this" {
  count = local.new ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${var.name}-default-closed" }
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.settings.cidr, 3, each.value)

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route_table_association" "private" {
  for_each = local.zones

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

# A way out, one NAT gateway per zone. Public subnets have no other use, so they come and go with it.
resource "aws_internet_gateway" "this" {
  count = var.settings.nat ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = var.name }
}

resource "aws_subnet" "public" {
  for_each = local.nat

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.settings.cidr, 6, 48 + each.value) # behind the private ones
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_route_table" "public" {
  count = var.settings.nat ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "to_internet" {
  count = var.settings.nat ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  for_each = local.nat

  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_eip" "nat" {
  for_each = local.nat

  domain = "vpc"
  tags   = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each = local.nat

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route" "to_nat" {
  for_each = local.nat

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[each.key].id
}
