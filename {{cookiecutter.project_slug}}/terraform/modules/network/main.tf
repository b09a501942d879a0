data "aws_partition" "current" {}

# Where jobs and endpoints run: private subnets of a new VPC, without a way to the internet unless `nat`, or of an existing one.
locals {
  new = var.settings.vpc_id == ""
  nat = var.settings.nat ? local.zones : {}

  # A zone's letter decides its part of the block, so that a zone more moves no subnet.
  zones = { for letter in local.new ? var.settings.zones : [] : "${var.region}${letter}" => index(["a", "b", "c", "d", "e", "f"], letter) }

  # Two blocks overlap when they are the same as far as the shorter prefix goes.
  overlaps = [
    for peer in var.settings.peer_cidrs : peer
    if length(distinct([
      for block in [peer, var.settings.cidr] :
      cidrsubnet("${cidrhost(block, 0)}/${min([for one in [peer, var.settings.cidr] : tonumber(split("/", one)[1])]...)}", 0, 0)
    ])) == 1
  ]

  vpc_id     = local.new ? aws_vpc.this[0].id : var.settings.vpc_id
  private    = [for zone in sort(keys(local.zones)) : aws_subnet.private[zone].id]
  subnet_ids = local.new ? local.private : sort(var.settings.subnet_ids)
}

resource "aws_vpc" "this" {
  count = local.new ? 1 : 0

  cidr_block           = var.settings.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # names of the interface endpoints

  tags = { Name = var.name }

  lifecycle {
    precondition {
      condition     = length(local.overlaps) == 0
      error_message = "network.cidr in config/<environment>.yaml, ${var.settings.cidr}, overlaps ${join(", ", local.overlaps)} of network.peer_cidrs, which the VPC will be joined to: choose another block."
    }
  }
}

# Whoever forgets to name a security group gets one that lets nothing through.
resource "aws_default_security_group" "this" {
  count = local.new ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${var.name}-default-closed" }
}

# Nothing from outside reaches a port that people log in by; answers to what hosts have asked for do, at the ports they asked from.
resource "aws_default_network_acl" "this" {
  count = local.new ? 1 : 0

  default_network_acl_id = aws_vpc.this[0].default_network_acl_id
  subnet_ids             = concat(local.private, [for zone in sort(keys(local.nat)) : aws_subnet.public[zone].id])

  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    cidr_block = var.settings.cidr
    from_port  = 0
    to_port    = 0
  }

  dynamic "ingress" {
    for_each = { 200 = [1024, 3388], 210 = [3390, 65535] } # not 3389, remote desktop

    content {
      rule_no    = ingress.key
      action     = "allow"
      protocol   = "tcp"
      cidr_block = "0.0.0.0/0"
      from_port  = ingress.value[0]
      to_port    = ingress.value[1]
    }
  }

  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }

  tags = { Name = var.name }
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
