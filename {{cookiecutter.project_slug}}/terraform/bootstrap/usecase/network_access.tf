# Networks have no names, but tags: what is new is tagged as it is made, and what has these tags may be changed. What belongs to
# others cannot be taken over by tagging it.
locals {
  tagged       = { StringEquals = { "aws:ResourceTag/Project" = local.project, "aws:ResourceTag/Environment" = var.environment } }
  to_be_tagged = { StringEquals = { "aws:RequestTag/Project" = local.project, "aws:RequestTag/Environment" = var.environment } }
  ec2          = "arn:${local.partition}:ec2:${local.in_region}"

  creates_network = [
    "ec2:AllocateAddress", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateFlowLogs", "ec2:CreateInternetGateway", "ec2:CreateNatGateway",
    "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateVpc", "ec2:CreateVpcEndpoint",
  ]

  new_is_tagged = [
    jsonencode({
      Sid       = "TaggedAsItIsMade"
      Effect    = "Allow"
      Action    = "ec2:CreateTags"
      Resource  = "${local.ec2}:*"
      Condition = merge(local.to_be_tagged, { Null = { "ec2:CreateAction" = "false" } })
    }),
    jsonencode({
      Sid       = "StudioIsTaggedAsItIsMade"
      Effect    = "Allow"
      Action    = "sagemaker:AddTags"
      Resource  = ["${local.sagemaker}:domain/*", "${local.sagemaker}:user-profile/*"]
      Condition = merge(local.to_be_tagged, { Null = { "sagemaker:TaggingAction" = "false" } })
    }),
    jsonencode({
      # A VPC's own ACL and security group are there before they can have tags, and KMS does not say that a key is being made.
      # Who has a project has an owner; a key that has an alias is in use.
      Sid       = "TaggedAfterwards"
      Effect    = "Allow"
      Action    = ["ec2:CreateTags", "kms:TagResource"]
      Resource  = ["${local.ec2}:network-acl/*", "${local.ec2}:security-group/*", local.all_keys]
      Condition = merge(local.to_be_tagged, { Null = { "aws:ResourceTag/Project" = "true", "kms:ResourceAliases" = "true" } })
    }),
  ]

  # A VPC that exists has its own tags, if any: its parts are known by their ids.
  existing_network = [for id in concat(compact([local.config.network.vpc_id]), local.config.network.subnet_ids, local.config.network.route_table_ids) :
    "${local.ec2}:${replace(split("-", id)[0], "rtb", "route-table")}/${id}"
  ]
  existing_network_is_used = length(local.existing_network) == 0 ? [] : [jsonencode({
    Sid      = "ExistingNetworkIsUsed"
    Effect   = "Allow"
    Action   = ["ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint"]
    Resource = local.existing_network
  })]

  network = concat(local.new_is_tagged, local.existing_network_is_used, [
    jsonencode({ Sid = "NetworkIsMade", Effect = "Allow", Action = local.creates_network, Resource = "${local.ec2}:*", Condition = local.to_be_tagged }),
    jsonencode({
      Sid    = "NetworkIsKept" # new parts too are made in what is there: a subnet in its VPC
      Effect = "Allow"
      Action = concat(local.creates_network, [
        "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:CreateNetworkAclEntry", "ec2:CreateRoute", "ec2:CreateTags", "ec2:DeleteFlowLogs",
        "ec2:DeleteInternetGateway", "ec2:DeleteNatGateway", "ec2:DeleteNetworkAclEntry", "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpc",
        "ec2:DeleteVpcEndpoints", "ec2:DetachInternetGateway", "ec2:DisassociateAddress", "ec2:DisassociateRouteTable", "ec2:ModifySecurityGroupRules", "ec2:ModifySubnetAttribute",
        "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint", "ec2:ReleaseAddress", "ec2:ReplaceNetworkAclAssociation", "ec2:ReplaceNetworkAclEntry", "ec2:ReplaceRoute", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
      ])
      Resource  = "${local.ec2}:*"
      Condition = local.tagged
    }),
  ])
}
