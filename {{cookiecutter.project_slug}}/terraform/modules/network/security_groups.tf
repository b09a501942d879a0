locals {
  named = local.new && !var.settings.nat # all that jobs can reach has an endpoint of ours
}

# Of jobs and endpoints of SageMaker. Hosts of one training job talk to each other; beyond that only HTTPS leaves.
resource "aws_security_group" "jobs" {
  #checkov:skip=CKV2_AWS_5:SageMaker attaches it to the network interfaces of jobs and endpoints
  name        = "${var.name}-jobs"
  description = "Jobs and endpoints of SageMaker"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-jobs" }

  # Without these ways out a job hangs until it is ended.
  lifecycle {
    precondition {
      condition     = local.new || var.settings.create_endpoints || length(local.lacking) == 0
      error_message = "the existing VPC ${var.settings.vpc_id} lacks endpoints for ${join(", ", local.lacking)}: list those it has under network.existing_endpoints in config/<environment>.yaml, or set network.create_endpoints: true."
    }

    precondition {
      condition     = local.new || !var.settings.create_endpoints || !contains(local.lacking, "s3") || length(var.settings.route_table_ids) > 0
      error_message = "jobs need a way to S3: list s3 under network.existing_endpoints in config/<environment>.yaml, or under network.route_table_ids the route tables of the subnets, which get one."
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "jobs_among_themselves" {
  security_group_id            = aws_security_group.jobs.id
  description                  = "Hosts of one training job"
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.jobs.id
}

resource "aws_vpc_security_group_egress_rule" "jobs_among_themselves" {
  security_group_id            = aws_security_group.jobs.id
  description                  = "Hosts of one training job"
  ip_protocol                  = "-1"
  referenced_security_group_id = aws_security_group.jobs.id
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_s3" {
  count = local.named ? 1 : 0

  security_group_id = aws_security_group.jobs.id
  description       = "S3"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.s3[0].prefix_list_id
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_endpoints" {
  count = local.named && length(local.interface_endpoints) > 0 ? 1 : 0

  security_group_id            = aws_security_group.jobs.id
  description                  = "Interface endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.endpoints[0].id
}

# Behind a NAT gateway, or in an existing VPC, it is not known where services are reached; routes bound it.
resource "aws_vpc_security_group_egress_rule" "jobs_https" {
  count = local.named ? 0 : 1

  security_group_id = aws_security_group.jobs.id
  description       = "HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_security_group" "endpoints" {
  count = length(local.interface_endpoints) > 0 ? 1 : 0

  name        = "${var.name}-endpoints"
  description = "Interface endpoints of AWS services"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_https" {
  count = length(local.interface_endpoints) > 0 ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "HTTPS from jobs and endpoints of SageMaker"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.jobs.id
}
