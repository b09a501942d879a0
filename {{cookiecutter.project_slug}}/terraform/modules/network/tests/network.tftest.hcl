mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name            = "churn-dev"
  project         = "churn"
  region          = "eu-west-1"
  account         = "111122223333"
  log_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  settings        = {}
}

run "new_and_closed" {
  assert {
    condition = {
      for zone, subnet in aws_subnet.private : zone => [subnet.availability_zone, subnet.cidr_block]
    } == { eu-west-1a = ["eu-west-1a", "10.20.0.0/19"], eu-west-1b = ["eu-west-1b", "10.20.32.0/19"] }
    error_message = "there must be a private subnet in each zone"
  }

  assert {
    condition = alltrue([
      length(aws_nat_gateway.this) == 0, length(aws_eip.nat) == 0, length(aws_subnet.public) == 0, length(aws_internet_gateway.this) == 0,
      length(aws_route.to_nat) == 0, length(aws_route.to_internet) == 0, length(aws_route_table.public) == 0,
    ])
    error_message = "without NAT nothing leads to the internet, and nothing costs by the hour"
  }

  assert {
    condition     = aws_vpc.this[0].cidr_block == "10.20.0.0/16" && aws_vpc.this[0].enable_dns_support && aws_vpc.this[0].enable_dns_hostnames
    error_message = "the VPC has the block of the settings, and names for its endpoints"
  }

  assert {
    condition     = aws_default_security_group.this[0].vpc_id == aws_vpc.this[0].id && length(aws_default_security_group.this[0].ingress) == 0 && length(aws_default_security_group.this[0].egress) == 0
    error_message = "the default security group must let nothing through"
  }

  assert {
    condition = alltrue([
      for rule in aws_default_network_acl.this[0].ingress :
      alltrue([for port in [22, 3389] : rule.from_port > port || rule.to_port < port]) if rule.cidr_block == "0.0.0.0/0"
    ])
    error_message = "nobody logs in from outside"
  }

  assert {
    condition     = toset(aws_default_network_acl.this[0].subnet_ids) == toset([for subnet in aws_subnet.private : subnet.id])
    error_message = "the network ACL must hold for every subnet"
  }

  assert {
    condition = alltrue([
      aws_vpc_security_group_ingress_rule.jobs_among_themselves.referenced_security_group_id == aws_security_group.jobs.id,
      aws_vpc_security_group_egress_rule.jobs_among_themselves.referenced_security_group_id == aws_security_group.jobs.id,
      aws_vpc_security_group_egress_rule.jobs_to_s3[0].prefix_list_id == aws_vpc_endpoint.s3[0].prefix_list_id,
      aws_vpc_security_group_egress_rule.jobs_to_s3[0].from_port == 443,
      length(aws_vpc_security_group_egress_rule.jobs_https) == 0,
      length(aws_vpc_security_group_egress_rule.jobs_to_endpoints) == 0,
    ])
    error_message = "jobs talk to each other and to S3"
  }

  assert {
    condition     = toset(aws_vpc_endpoint.s3[0].route_table_ids) == toset([for table in aws_route_table.private : table.id]) && aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway"
    error_message = "every private subnet must have a way to S3"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_vpc_endpoint.s3[0].policy).Statement :
      statement.Sid => [jsonencode(statement.Action), statement.Resource, jsonencode(try(statement.Condition, {}))]
      } == {
      BucketsOfTheAccount = ["\"s3:*\"", "*", "{\"StringEquals\":{\"s3:ResourceAccount\":\"111122223333\"}}"]
      LayersOfImages      = ["\"s3:GetObject\"", "arn:aws:s3:::prod-eu-west-1-starport-layer-bucket/*", "{}"]
    }
    error_message = "no bucket of another account may be reached but that of AWS's images"
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_security_group.endpoints) == 0
    error_message = "interface endpoints cost by the hour: there are those of the settings"
  }

  assert {
    condition = alltrue([
      aws_flow_log.this[0].traffic_type == "ALL", aws_flow_log.this[0].vpc_id == aws_vpc.this[0].id,
      aws_flow_log.this[0].log_destination == aws_cloudwatch_log_group.flow[0].arn,
      aws_cloudwatch_log_group.flow[0].kms_key_id == var.log_kms_key_arn, aws_cloudwatch_log_group.flow[0].retention_in_days == 365,
    ])
    error_message = "all traffic must be logged, encrypted, for a year"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.flow[0].policy).Statement :
      alltrue([for resource in statement.Resource : startswith(resource, aws_cloudwatch_log_group.flow[0].arn)])
    ])
    error_message = "the role of the flow log writes to its log group alone"
  }

  assert {
    condition     = jsondecode(aws_iam_role.flow[0].assume_role_policy).Statement[0].Condition == { StringEquals = { "aws:SourceAccount" = "111122223333" } }
    error_message = "flow logs of other accounts must not use the role"
  }

  assert {
    condition = alltrue([
      output.vpc_id == aws_vpc.this[0].id, output.security_group_ids == [aws_security_group.jobs.id],
      output.subnet_ids == tolist([aws_subnet.private["eu-west-1a"].id, aws_subnet.private["eu-west-1b"].id]),
    ])
    error_message = "the outputs are what jobs are started in"
  }
}

run "new_with_nat" {
  variables {
    permissions_boundary = "arn:aws:iam::111122223333:policy/churn/churn-dev-boundary"

    settings = {
      cidr          = "10.8.0.0/20"
      zones         = ["c", "a", "f"]
      nat           = true
      flow_log_days = 30
    }
  }

  assert {
    condition = [for subnet in concat(values(aws_subnet.private), values(aws_subnet.public)) : subnet.cidr_block] == [
      "10.8.0.0/23", "10.8.4.0/23", "10.8.10.0/23", "10.8.12.0/26", "10.8.12.128/26", "10.8.13.64/26",
    ]
    error_message = "subnets must not overlap, and a zone has its place whatever the others are"
  }

  assert {
    condition = alltrue(flatten([
      for zone in ["eu-west-1a", "eu-west-1c", "eu-west-1f"] : [
        aws_nat_gateway.this[zone].subnet_id == aws_subnet.public[zone].id,
        aws_nat_gateway.this[zone].allocation_id == aws_eip.nat[zone].id,
        aws_route.to_nat[zone].nat_gateway_id == aws_nat_gateway.this[zone].id,
        aws_route.to_nat[zone].route_table_id == aws_route_table.private[zone].id,
        aws_route_table_association.private[zone].subnet_id == aws_subnet.private[zone].id,
        aws_route_table_association.public[zone].route_table_id == aws_route_table.public[0].id,
        !aws_subnet.public[zone].map_public_ip_on_launch,
      ]
    ]))
    error_message = "each zone must have its own way out, so that one may fail"
  }

  assert {
    condition     = aws_route.to_internet[0].gateway_id == aws_internet_gateway.this[0].id && aws_route.to_internet[0].route_table_id == aws_route_table.public[0].id
    error_message = "public subnets lead to the internet, private ones to their NAT gateway"
  }

  assert {
    condition     = length(aws_default_network_acl.this[0].subnet_ids) == 6
    error_message = "the network ACL must hold for public subnets too"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.jobs_https[0].from_port == 443 && length(aws_vpc_security_group_egress_rule.jobs_to_s3) == 0
    error_message = "behind NAT jobs may use HTTPS"
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow[0].retention_in_days == 30 && aws_iam_role.flow[0].permissions_boundary == var.permissions_boundary
    error_message = "flow_log_days and the boundary count"
  }
}

run "interface_endpoints" {
  variables {
    settings = { interface_endpoints = ["sagemaker.api", "logs"], peer_cidrs = ["10.21.0.0/16", "192.168.0.0/24"] }
  }

  assert {
    condition = alltrue([
      for name, endpoint in aws_vpc_endpoint.interface :
      endpoint.service_name == "com.amazonaws.eu-west-1.${name}" && endpoint.private_dns_enabled
      && endpoint.security_group_ids == toset([aws_security_group.endpoints[0].id]) && length(endpoint.subnet_ids) == 2
      && jsondecode(endpoint.policy).Statement[0].Condition == { StringEquals = { "aws:PrincipalAccount" = "111122223333" } }
    ]) && toset(keys(aws_vpc_endpoint.interface)) == toset(["logs", "sagemaker.api"])
    error_message = "each service of the settings gets an endpoint in every zone, for callers of the account"
  }

  assert {
    condition = alltrue([
      aws_vpc_security_group_ingress_rule.endpoints_https[0].referenced_security_group_id == aws_security_group.jobs.id,
      aws_vpc_security_group_ingress_rule.endpoints_https[0].from_port == 443,
      aws_vpc_security_group_ingress_rule.endpoints_https[0].to_port == 443,
      aws_vpc_security_group_egress_rule.jobs_to_endpoints[0].referenced_security_group_id == aws_security_group.endpoints[0].id,
    ])
    error_message = "jobs, and nobody else, reach the endpoints"
  }
}

run "existing" {
  variables {
    settings = {
      vpc_id              = "vpc-0123456789abcdef0"
      subnet_ids          = ["subnet-0b", "subnet-0a"]
      interface_endpoints = ["sagemaker.api", "logs"]
      existing_endpoints  = ["s3", "logs"]
      cidr                = "10.20.0.0/16"
      peer_cidrs          = ["10.0.0.0/8"]
      zones               = ["a"]
    }
  }

  assert {
    condition = length(concat(
      aws_vpc.this, values(aws_subnet.private), values(aws_route_table.private), aws_flow_log.this, aws_iam_role.flow, aws_default_security_group.this,
      aws_default_network_acl.this, aws_vpc_endpoint.s3,
    )) == 0
    error_message = "what is there stays as it is"
  }

  assert {
    condition     = keys(aws_vpc_endpoint.interface) == ["sagemaker.api"] && aws_vpc_endpoint.interface["sagemaker.api"].vpc_id == "vpc-0123456789abcdef0"
    error_message = "only the endpoint that the VPC lacks is made"
  }

  assert {
    condition     = output.vpc_id == "vpc-0123456789abcdef0" && output.subnet_ids == tolist(["subnet-0a", "subnet-0b"]) && aws_security_group.jobs.vpc_id == "vpc-0123456789abcdef0"
    error_message = "jobs run in the existing subnets"
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.jobs_https) == 1
    error_message = "where services are reached in an existing VPC is not known: HTTPS must be open"
  }
}

run "existing_without_s3" {
  command = plan

  variables {
    settings = {
      vpc_id          = "vpc-0123456789abcdef0"
      subnet_ids      = ["subnet-0a", "subnet-0b"]
      route_table_ids = ["rtb-0123456789abcdef0"]
    }
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].route_table_ids == toset(["rtb-0123456789abcdef0"])
    error_message = "a VPC without a way to S3 gets one"
  }
}

run "existing_with_all" {
  command = plan

  variables {
    settings = {
      vpc_id              = "vpc-0123456789abcdef0"
      subnet_ids          = ["subnet-0a", "subnet-0b"]
      interface_endpoints = ["logs"]
      existing_endpoints  = ["logs", "s3", "ssm"]
      create_endpoints    = false
    }
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_vpc_endpoint.s3) == 0
    error_message = "a VPC that has all endpoints needs none"
  }
}

run "existing_lacks_endpoints" {
  command = plan

  variables {
    settings = {
      vpc_id              = "vpc-0123456789abcdef0"
      subnet_ids          = ["subnet-0a", "subnet-0b"]
      interface_endpoints = ["logs"]
      existing_endpoints  = ["s3"]
      create_endpoints    = false
    }
  }

  expect_failures = [aws_security_group.jobs]
}

run "existing_without_route_tables" {
  command = plan

  variables {
    settings = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0a", "subnet-0b"] }
  }

  expect_failures = [aws_security_group.jobs]
}

run "existing_by_name" {
  command = plan

  variables {
    settings = { vpc_id = "shared", subnet_ids = ["subnet-0a", "subnet-0b"], existing_endpoints = ["s3"] }
  }

  expect_failures = [var.settings]
}

run "existing_with_one_subnet" {
  command = plan

  variables {
    settings = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0a", "subnet-0a"], existing_endpoints = ["s3"] }
  }

  expect_failures = [var.settings]
}

run "existing_with_nat" {
  command = plan

  variables {
    settings = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0a", "subnet-0b"], existing_endpoints = ["s3"], nat = true }
  }

  expect_failures = [var.settings]
}

run "subnets_of_no_vpc" {
  command = plan

  variables {
    settings = { subnet_ids = ["subnet-0a", "subnet-0b"] }
  }

  expect_failures = [var.settings]
}

run "one_zone" {
  command = plan

  variables {
    settings = { zones = ["a", "a"] }
  }

  expect_failures = [var.settings]
}

run "zones_by_name" {
  command = plan

  variables {
    settings = { zones = ["eu-west-1a", "eu-west-1b"] }
  }

  expect_failures = [var.settings]
}

run "a_block_too_small" {
  command = plan

  variables {
    settings = { cidr = "10.20.0.0/24" }
  }

  expect_failures = [var.settings]
}

run "a_block_too_large" {
  command = plan

  variables {
    settings = { cidr = "10.0.0.0/8" }
  }

  expect_failures = [var.settings]
}

run "a_block_that_is_none" {
  command = plan

  variables {
    settings = { cidr = "10.20.0.1/16" }
  }

  expect_failures = [var.settings]
}

run "overlap" {
  command = plan

  variables {
    settings = { cidr = "10.20.0.0/16", peer_cidrs = ["10.19.0.0/16", "10.20.128.0/24"] }
  }

  expect_failures = [aws_vpc.this]
}

run "overlap_with_a_larger_block" {
  command = plan

  variables {
    settings = { cidr = "10.20.0.0/16", peer_cidrs = ["10.0.0.0/8"] }
  }

  expect_failures = [aws_vpc.this]
}

run "a_peer_that_is_no_block" {
  command = plan

  variables {
    settings = { peer_cidrs = ["headquarters"] }
  }

  expect_failures = [var.settings]
}

run "s3_twice" {
  command = plan

  variables {
    settings = { interface_endpoints = ["s3"] }
  }

  expect_failures = [var.settings]
}

run "a_service_with_region" {
  command = plan

  variables {
    settings = { interface_endpoints = ["com amazonaws eu-west-1 logs"] }
  }

  expect_failures = [var.settings]
}

run "an_odd_retention" {
  command = plan

  variables {
    settings = { flow_log_days = 100 }
  }

  expect_failures = [var.settings]
}
