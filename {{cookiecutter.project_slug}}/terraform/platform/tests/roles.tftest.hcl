mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  config_dir = "../tests/switches"
}

run "people" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = toset(keys(module.role)) == toset(["processing", "training", "inference", "pipeline", "batch", "scheduler"]) && toset(keys(module.people)) == toset(["steward", "data-scientist"])
    error_message = "there is a role for each kind of job, and for people who are named"
  }

  assert {
    condition     = local.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "the account's own boundary counts"
  }

  assert {
    condition = toset(flatten([
      for name, role in merge(local.service_roles, local.people_roles) : [
        for statement in role.statements : name if jsondecode(statement).Effect == "Allow" && contains(flatten([jsondecode(statement).Action]), "sagemaker:UpdateModelPackage")
      ]
    ])) == toset(["steward"])
    error_message = "only stewards change the status of a version"
  }

  assert {
    condition = alltrue([
      for name in ["pipeline", "data-scientist"] : anytrue([
        for statement in merge(local.service_roles, local.people_roles)[name].statements :
        jsondecode(statement).Effect == "Deny" && jsondecode(statement).Action == ["sagemaker:CreateModelPackage"]
        && try(jsondecode(statement).Condition.StringNotEqualsIfExists["sagemaker:ModelApprovalStatus"], "") == "PendingManualApproval"
      ])
    ])
    error_message = "whoever registers a version registers it as pending"
  }

  assert {
    condition = alltrue(flatten([
      for role in merge(local.service_roles, local.people_roles) : [
        for statement in concat(role.statements, role.ids) :
        jsondecode(statement).Resource != "*" || jsondecode(statement).Effect == "Deny"
        || contains(["KnowNoResource", "ListsKnowNoResource", "Metrics"], jsondecode(statement).Sid)
      ]
    ]))
    error_message = "what is allowed is allowed on named resources, except for actions that have none"
  }

  assert {
    condition = alltrue(flatten([
      for role in merge(local.service_roles, local.people_roles) : [
        for statement in concat(role.statements, role.ids) : [
          for action in flatten([jsondecode(statement).Action]) : !strcontains(action, "*")
        ]
      ]
    ]))
    error_message = "no role has a wildcard among its actions"
  }

  assert {
    condition = alltrue(flatten([
      for role in merge(local.service_roles, local.people_roles) : [
        for statement in role.statements :
        !contains(flatten([jsondecode(statement).Action]), "iam:PassRole") || (
          try(jsondecode(statement).Condition.StringEquals["iam:PassedToService"], "") == "sagemaker.amazonaws.com"
          && toset(flatten([jsondecode(statement).Resource])) == toset([for kind in ["processing", "training", "inference"] : "arn:aws:iam::111122223333:role/churn/churn-dev-${kind}"])
        )
      ]
    ]))
    error_message = "roles of jobs are passed by name, to SageMaker alone"
  }

  assert {
    condition = alltrue(flatten([
      for role in merge(local.service_roles, local.people_roles) : [
        for statement in concat(role.statements, role.ids) : [
          for resource in flatten([jsondecode(statement).Resource]) : can(regex("^arn:aws:s3:::churn-dev-(artifacts|data|capture)-111122223333(/(churn|churn-dev|registry/churn-dev)/.+)?$", resource))
          if startswith(resource, "arn:aws:s3:::")
        ]
      ]
    ]))
    error_message = "roles reach objects of the use case in its own buckets, by folder"
  }
}

run "nobody" {
  variables {
    environment = "qa"
  }

  assert {
    condition     = length(module.people) == 0
    error_message = "nobody is named under people: there is no role"
  }

  assert {
    condition     = local.permissions_boundary == "arn:aws:iam::111122223333:policy/churn/churn-qa-boundary"
    error_message = "without a boundary of the account the roles have that of terraform/bootstrap/usecase"
  }

  assert {
    condition     = local.images == ["arn:aws:ecr:eu-west-1:*:repository/sagemaker-xgboost"]
    error_message = "with container: managed, images are AWS's own"
  }
}
