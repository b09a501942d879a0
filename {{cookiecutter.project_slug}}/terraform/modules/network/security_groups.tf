# Of jobs and endpoints of SageMaker. Hosts of one training job talk to each other; beyond that only HTTPS leaves.
resource "aws_security_group" "jobs" {
  #checkov:skip=CKV2_AWS_5:SageMaker attaches it to the network interfaces of jobs and endpoints
  name        = "${var.name}-jobs"
  description = "Jobs and endpoints of SageMaker"
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-jobs" }
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

# S3 has public addresses, also behind its endpoint; without a NAT gateway no other public address can be reached.
resource "aws_vpc_security_group_egress_rule" "jobs_https" {
  security_group_id = aws_security_group.jobs.id
  description       = "HTTPS to S3 and the interface endpoints"
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
