mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

run "all_of_stage_full" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition     = toset(keys(aws_iam_role_policy_attachment.governs)) == toset(["gateway", "governance", "studio"]) && alltrue([for made in aws_iam_role_policy_attachment.governs : made.role == "long-names-of-a-use-case-dev-deploy"])
    error_message = "the deploy role builds what stage full adds"
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.governs : [
      for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !endswith(action, ":*")]
    ]]))
    error_message = "no role may do all that a service can"
  }

  assert {
    condition = toset(flatten([for policy in aws_iam_policy.governs : [
      for statement in jsondecode(policy.policy).Statement : statement.Sid if contains(flatten([statement.Resource]), "*")
    ]])) == toset(["HomesAreMade", "KnowNoResource"])
    error_message = "all resources stand only where an action knows none"
  }

  assert {
    condition     = contains(flatten([for statement in jsondecode(aws_iam_policy.governs["studio"].policy).Statement : statement.Resource]), "arn:aws:sagemaker:ap-southeast-1:111122223333:feature-group/features-of-customers")
    error_message = "the feature group of the settings is built"
  }

  assert {
    condition     = alltrue([for policy in aws_iam_policy.governs : length(policy.policy) <= 6144])
    error_message = "a policy has at most 6,144 characters"
  }
}

run "what_monitors" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "./tests/deciding/config"
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_policy.governs["gateway"].policy).Statement : statement.Sid => flatten([statement.Resource])
      if contains(["MonitorIsBuilt", "MonitorsCodeIsSent", "ItsStackIsBuilt"], statement.Sid)
      } == {
      MonitorIsBuilt     = ["arn:aws:lambda:eu-west-1:111122223333:function:churn-dev-monitor"]
      MonitorsCodeIsSent = ["arn:aws:s3:::churn-dev-artifacts-111122223333/churn/monitor/*"]
      ItsStackIsBuilt    = ["arn:aws:cloudformation:eu-west-1:111122223333:stack/churn-dev-*/*"]
    }
    error_message = "one function, its code, and stacks of this environment"
  }

  assert {
    condition = toset(one([
      for statement in jsondecode(aws_iam_policy.governs["gateway"].policy).Statement : statement.Condition.StringEquals["iam:PassedToService"] if statement.Sid == "MonitorsGetTheirRoles"
    ])) == toset(["lambda.amazonaws.com", "firehose.amazonaws.com", "logs.amazonaws.com"])
    error_message = "roles go to what monitors alone"
  }

  assert {
    condition     = alltrue([for part in [":lambda:", ":cloudformation:", ":firehose:", "domain/logs*"] : strcontains(aws_iam_policy.boundary[0].policy, part)])
    error_message = "what the settings ask for must be within the boundary"
  }
}

run "model_monitor_and_shipping_are_off" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "../../tests/config"
  }

  assert {
    condition     = alltrue([for part in ["cloudformation:", "firehose:"] : !strcontains(aws_iam_policy.governs["gateway"].policy, part) && !strcontains(aws_iam_policy.boundary[0].policy, part)]) && strcontains(aws_iam_policy.boundary[0].policy, ":lambda:")
    error_message = "what no setting asks for is not allowed"
  }
}

run "no_feature_group" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "../../tests/config"
  }

  assert {
    condition     = !strcontains(aws_iam_policy.governs["studio"].policy, "feature-group") && !strcontains(aws_iam_policy.boundary[0].policy, ":glue:")
    error_message = "without a feature group, nothing is allowed for one"
  }
}
