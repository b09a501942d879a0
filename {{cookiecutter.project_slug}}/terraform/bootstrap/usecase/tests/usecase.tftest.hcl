mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  config_dir = "../../tests/config"
}

run "where_models_are_trained" {
  command = plan

  variables {
    environment = "dev"
  }

  assert {
    condition     = toset(keys(aws_iam_role.job)) == toset(["deploy", "promote", "train"])
    error_message = "jobs deploy, train and fetch versions for the other environments; merge requests have no role unless they are given one"
  }

  assert {
    condition     = alltrue([for role, made in aws_iam_role.job : made.name == "churn-dev-${role}" && made.path == "/churn/" && made.max_session_duration == 3600])
    error_message = "roles are named as the platform expects, and last an hour"
  }

  assert {
    condition     = alltrue([for made in aws_iam_role.job : made.permissions_boundary == "arn:aws:iam::111122223333:policy/churn/churn-dev-boundary"]) && aws_iam_policy.boundary[0].name == "churn-dev-boundary" && aws_iam_policy.boundary[0].path == "/churn/"
    error_message = "every role is within the boundary"
  }

  assert {
    condition = { for role, made in aws_iam_role.job : role => jsondecode(made.assume_role_policy).Statement } == {
      for role, subjects in {
        deploy = ["project_path:data/models/churn:ref_type:branch:ref:main:ref_protected:true:environment_protected:true:deployment_tier:development"]
        train  = ["project_path:data/models/churn:ref_type:branch:ref:main:ref_protected:true"]
        promote = [
          "project_path:data/models/churn:ref_type:branch:ref:main:ref_protected:true:environment_protected:true:deployment_tier:production",
          "project_path:data/models/churn:ref_type:branch:ref:main:ref_protected:true:environment_protected:true:deployment_tier:staging",
        ]
        } : role => [{
          Effect    = "Allow"
          Action    = "sts:AssumeRoleWithWebIdentity"
          Principal = { Federated = "arn:aws:iam::111122223333:oidc-provider/gitlab.com" }
          Condition = { StringEquals = { "gitlab.com:aud" = "https://gitlab.com", "gitlab.com:project_id" = "17", "gitlab.com:sub" = subjects } }
      }]
    }
    error_message = "a role trusts equal claims of one project: its number, protected refs, the tier of its environment"
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.job : [
      for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !endswith(action, ":*") && action != "*"]
    ]]))
    error_message = "no role may do all that a service can"
  }

  assert {
    condition = toset(flatten([for policy in aws_iam_policy.job : [
      for statement in jsondecode(policy.policy).Statement : statement.Sid if contains(flatten([statement.Resource]), "*") && try(statement.Condition, null) == null
    ]])) == toset(["KnowNoResource", "ListsKnowNoResource", "RegistryLogsIn", "SettingsAreRead"])
    error_message = "all resources stand only where an action knows none, or settings are read"
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.job : [
      for statement in jsondecode(policy.policy).Statement :
      try(statement.Condition.StringEquals["iam:PassedToService"], null) != null && startswith(statement.Resource, "arn:aws:iam::111122223333:role/churn/churn-dev-")
      if contains(flatten([statement.Action]), "iam:PassRole")
    ]]))
    error_message = "roles of this use case are passed, to named services"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_policy.job["deploy-compute"].policy).Statement : statement.Condition if contains(flatten([statement.Action]), "iam:CreateRole")] == [
      { StringEquals = { "iam:PermissionsBoundary" = "arn:aws:iam::111122223333:policy/churn/churn-dev-boundary" } }
    ]
    error_message = "a job makes no role beyond the boundary"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_policy.job["deploy-state"].policy).Statement : statement.Resource if !startswith(statement.Sid, "StateIsDecrypted")])) == toset([
      "arn:aws:s3:::terraform-state-111122223333-eu-west-1", "arn:aws:s3:::terraform-state-111122223333-eu-west-1/churn/dev/*.tfstate", "arn:aws:s3:::terraform-state-111122223333-eu-west-1/churn/dev/*.tfstate.tflock",
    ])
    error_message = "a job knows the states of its use case and environment alone"
  }

  assert {
    condition = !contains(flatten([for name in ["deploy-compute", "train-train", "promote-promote"] : [
      for statement in jsondecode(aws_iam_policy.job[name].policy).Statement : statement.Action
    ]]), "sagemaker:UpdateModelPackage")
    error_message = "where models are registered first, people decide on them, not jobs"
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_iam_policy.job["deploy-storage"].policy).Statement : statement.Sid], "BucketsAreEmptied")
    error_message = "dev can be destroyed with what lies in its buckets"
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy_attachment.job)) == toset(keys(aws_iam_policy.job)) && length(aws_iam_policy.job) == 8
    error_message = "each policy is attached to its role"
  }

  assert {
    condition     = output.permissions_boundary == aws_iam_role.job["train"].permissions_boundary && toset(keys(output.role_arns)) == toset(["deploy", "promote", "train"])
    error_message = "GitLab is told the roles"
  }
}

run "the_boundary" {
  command = plan

  variables {
    environment = "dev"
  }

  assert {
    condition = [for statement in local.bounds : statement if try(statement.Condition.StringNotEquals["iam:PermissionsBoundary"], "") == "arn:aws:iam::111122223333:policy/churn/churn-dev-boundary"] == [{
      Effect    = "Deny"
      Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRole*", "iam:UpdateAssumeRolePolicy"]
      Resource  = "*"
      Condition = { StringNotEquals = { "iam:PermissionsBoundary" = "arn:aws:iam::111122223333:policy/churn/churn-dev-boundary" } }
    }]
    error_message = "who is within the boundary makes and changes only roles within it"
  }

  assert {
    condition = length(setsubtract(
      ["iam:*AccessKey*", "iam:*LoginProfile*", "iam:*User*", "iam:CreatePolicy*", "iam:DeletePolicy*", "iam:DeleteRolePermissionsBoundary", "iam:SetDefaultPolicyVersion"],
      flatten([for statement in local.bounds : statement.Action if statement.Effect == "Deny" && try(statement.Condition, null) == null && can(statement.Action)]),
    )) == 0
    error_message = "no users, no access keys, no other boundary"
  }

  assert {
    condition = [for statement in local.bounds : [statement.Effect, statement.Resource] if can(statement.NotAction)] == [["Deny", [
      "arn:aws:iam::111122223333:role/*/churn-dev-deploy", "arn:aws:iam::111122223333:role/*/churn-dev-promote", "arn:aws:iam::111122223333:role/*/churn-dev-train",
    ]]]
    error_message = "jobs do not change their own roles"
  }

  assert {
    condition = alltrue([for statement in local.bounds : !contains(flatten([statement.Resource]), "*") || try(statement.Condition, null) != null || alltrue([
      for action in flatten([statement.Action]) : can(regex(":(.*Describe|.*List|Validate|.*Get|.*Metric|.*NetworkInterface|.*Deliver|.*ResourcePolic|.*Subscri|MountCapsule|CreateFileSystem)|^xray:", action))
    ]) if statement.Effect == "Allow"])
    error_message = "what others have in the account is out of reach: a role sees names and tags of its use case alone"
  }

  assert {
    condition     = alltrue([for arn in local.own_names : can(regex("churn|sagemaker|StepFunctions|AwsBackup|restapis|apigateway|scalable-target|managedruleset", arn))])
    error_message = "what has a name has that of the use case, or one that AWS gives"
  }

  assert {
    condition = alltrue([for statement in local.bounds : try(statement.Condition.Null, null) != null && try(statement.Condition.StringEquals["aws:RequestTag/Project"], "") == "churn" if length(setintersection(
      flatten([try(statement.Action, [])]), ["ec2:CreateTags", "kms:TagResource", "sagemaker:AddTags"]
    )) > 0])
    error_message = "what belongs to others cannot be taken over by tagging it"
  }
}

run "where_versions_are_copied" {
  command = plan

  variables {
    environment = "prod"
  }

  assert {
    condition     = keys(aws_iam_role.job) == ["deploy"]
    error_message = "nothing is trained here"
  }

  assert {
    condition     = jsondecode(aws_iam_role.job["deploy"].assume_role_policy).Statement[0].Condition.StringEquals["gitlab.com:sub"] == ["project_path:data/models/churn:ref_type:branch:ref:main:ref_protected:true:environment_protected:true:deployment_tier:production"]
    error_message = "jobs of production alone deploy to production"
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_policy.job["deploy-compute"].policy).Statement : flatten([statement.Resource]) if contains(["CopiesAreRegistered", "CopiesAreWritten", "RecordsImagesArePulled"], statement.Sid)]) == [
      "arn:aws:sagemaker:eu-west-1:333333333333:model-package-group/churn", "arn:aws:sagemaker:eu-west-1:333333333333:model-package/churn/*",
      "arn:aws:s3:::churn-prod-artifacts-333333333333/registry/churn/*",
      "arn:aws:ecr:eu-west-1:111122223333:repository/churn-dev",
    ]
    error_message = "copies are made of what was registered where models are trained"
  }

  assert {
    condition     = !contains([for statement in jsondecode(aws_iam_policy.job["deploy-storage"].policy).Statement : statement.Sid], "BucketsAreEmptied")
    error_message = "only the buckets of dev are emptied"
  }
}

run "gitlab_without_tiers" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition = { for role, made in aws_iam_role.job : role => jsondecode(made.assume_role_policy).Statement[0].Condition } == {
      deploy = { StringEquals = {
        "gitlab.example.com:aud" = "aws.example.com"
        "gitlab.example.com:sub" = ["project_path:data-science/models/long-names-of-a-use-case:ref_type:branch:ref:main"]
      } }
      plan = {
        StringEquals = { "gitlab.example.com:aud" = "aws.example.com" }
        StringLike   = { "gitlab.example.com:sub" = ["project_path:data-science/models/long-names-of-a-use-case:ref_type:branch:ref:*"] }
      }
      promote = {
        StringEquals = { "gitlab.example.com:aud" = "aws.example.com" }
        StringLike   = { "gitlab.example.com:sub" = ["project_path:data-science/models/long-names-of-a-use-case:ref_type:branch:ref:main", "project_path:data-science/models/long-names-of-a-use-case:ref_type:tag:ref:v*"] }
      }
      train = { StringEquals = {
        "gitlab.example.com:aud" = "aws.example.com"
        "gitlab.example.com:sub" = ["project_path:data-science/models/long-names-of-a-use-case:ref_type:branch:ref:main"]
      } }
    }
    error_message = "without tiers main is trusted, and any branch to plan; a GitLab of one's own has no number to pin"
  }

  assert {
    condition     = jsondecode(aws_iam_role.job["deploy"].assume_role_policy).Statement[0].Principal == { Federated = "arn:aws:iam::111122223333:oidc-provider/gitlab.example.com" }
    error_message = "an identity provider that exists is named"
  }

  assert {
    condition = toset(flatten([for name in ["plan-state", "plan-read"] : [
      for statement in jsondecode(aws_iam_policy.job[name].policy).Statement : [
        for action in flatten([statement.Action]) : action if !can(regex(":(Get|List|Describe|Validate|Decrypt)", action))
      ] if !startswith(statement.Sid, "Lock")
    ]])) == toset(["kms:GenerateDataKey"])
    error_message = "a plan writes nothing but locks"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_policy.job["deploy-state"].policy).Statement : [statement.Resource, statement.Condition] if statement.Sid == "LocksAreItems"] == [[
      "arn:aws:dynamodb:ap-southeast-1:111122223333:table/company-terraform-locks-of-all-use-cases",
      { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = "company-terraform-states-of-all-use-cases-and-environments/long-names-of-a-use-case/dev/*" } },
    ]]
    error_message = "a job locks the states of its use case and environment alone"
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_policy.job["deploy-network"].policy).Statement : statement.Resource if statement.Sid == "ExistingNetworkIsUsed"]) == concat(
      ["arn:aws:ec2:ap-southeast-1:111122223333:vpc/vpc-0123456789abcdef0"],
      [for number in [0, 1, 2] : "arn:aws:ec2:ap-southeast-1:111122223333:subnet/subnet-0123456789abcdef${number}"],
      [for number in [0, 1, 2] : "arn:aws:ec2:ap-southeast-1:111122223333:route-table/rtb-0123456789abcdef${number}"],
    )
    error_message = "of a network that exists, the parts that are named are used"
  }

  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.job), aws_iam_policy.boundary) : length(policy.policy) <= 6144])
    error_message = "a policy has at most 6,144 characters, also with long names"
  }
}

run "production_without_tiers" {
  command = plan

  variables {
    environment = "prod"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition     = jsondecode(aws_iam_role.job["deploy"].assume_role_policy).Statement[0].Condition.StringLike == { "gitlab.example.com:sub" = ["project_path:data-science/models/long-names-of-a-use-case:ref_type:tag:ref:v*"] }
    error_message = "without tiers a release, which is a protected tag, deploys to production"
  }

  assert {
    condition     = length(aws_iam_policy.boundary[0].policy) <= 6144
    error_message = "a policy has at most 6,144 characters, also with the longest names"
  }
}

run "jobs_that_decide" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/deciding/config"
  }

  assert {
    condition     = jsondecode(aws_iam_role.job["approve"].assume_role_policy).Statement[0].Condition.StringEquals["gitlab.com:sub"] == ["project_path:data/models/churn:ref_type:branch:ref:main:ref_protected:true:environment_protected:true:deployment_tier:other"]
    error_message = "jobs of the protected environment model-approval decide, and no others"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_policy.job["approve-approve"].policy).Statement : [statement.Action, statement.Resource] if !can(regex(":(Get|List|Describe|Decrypt)", flatten([statement.Action])[0]))] == [[
      "sagemaker:UpdateModelPackage", ["arn:aws:sagemaker:eu-west-1:111122223333:model-package-group/churn", "arn:aws:sagemaker:eu-west-1:111122223333:model-package/churn/*"],
    ]]
    error_message = "they change the status of versions, and nothing else"
  }
}

run "any_job_of_main_would_decide" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/deciding/config"
  }

  expect_failures = [aws_iam_role.job]
}

run "a_role_of_the_runner" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition = alltrue([for made in aws_iam_role.job : jsondecode(made.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = "arn:aws:iam::333333333333:role/gitlab/runner" }
    }]])
    error_message = "without tokens, the role of the runner is trusted alone"
  }

  assert {
    condition     = length(aws_iam_policy.boundary) == 0 && alltrue([for made in aws_iam_role.job : made.permissions_boundary == "arn:aws:iam::333333333333:policy/company-boundary"])
    error_message = "a boundary of the account is taken as it is"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_policy.job["deploy-compute"].policy).Statement : statement.Condition if contains(flatten([statement.Action]), "iam:CreateRole")] == [
      { StringEquals = { "iam:PermissionsBoundary" = "arn:aws:iam::333333333333:policy/company-boundary" } }
    ]
    error_message = "a job makes no role beyond the account's boundary"
  }
}

run "no_number_of_the_project" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/refused/config"
  }

  expect_failures = [aws_iam_role.job]
}

run "any_role_of_the_runner" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/refused/config"
  }

  expect_failures = [aws_iam_role.job]
}

run "the_provider_of_another_gitlab" {
  command = plan

  variables {
    environment = "prod"
    config_dir  = "./tests/refused/config"
  }

  expect_failures = [aws_iam_role.job]
}

run "no_group" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/nameless/config"
  }

  expect_failures = [aws_iam_role.job]
}

run "a_boundary_without_arn" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/nameless/config"
  }

  expect_failures = [aws_iam_role.job]
}

run "names_that_fill_the_boundary" {
  command = plan

  variables {
    environment = "prod"
    config_dir  = "./tests/nameless/config"
  }

  expect_failures = [aws_iam_policy.boundary]
}
