# Roles of GitLab's jobs. Each is bounded, lasts an hour, and is told apart by what the token of the job says.
locals {
  roles = merge(
    { for role in ["plan"] : role => "Plans of merge requests: reads, writes nothing but locks" if local.config.aws_access.plan_role },
    { deploy = "Applies terraform/platform and terraform/serving, and checks what came of it" },
    { for role in ["train"] : role => "Pushes images, deploys and starts the pipeline" if local.trains },
    { for role in ["approve"] : role => "Decides on versions, in jobs of the environment model-approval" if local.trains && local.config.aws_access.approve_role },
    { for role in ["promote"] : role => "Fetches approved versions, for copies in other environments" if local.trains },
  )

  statements = {
    plan    = { state = local.state_is_read, read = local.all_is_read }
    train   = { train = local.models_are_trained }
    approve = { approve = local.versions_are_decided_on }
    promote = { promote = local.record_is_copied }
    deploy = merge(
      { state = local.state_is_written, read = local.all_is_read, storage = local.storage, network = local.network, compute = local.compute, events = local.events },
      local.trains ? {} : { copies = local.versions_are_fetched },
    )
  }
  policies = merge([
    for role in keys(local.roles) : { for area, statements in local.statements[role] : "${role}-${area}" => { role = role, statements = statements } }
  ]...)
}

resource "aws_iam_role" "job" {
  for_each = local.roles

  name                 = "${local.name}-${each.key}"
  path                 = "/${local.project}/"
  description          = each.value
  assume_role_policy   = local.trust[each.key]
  max_session_duration = 3600
  permissions_boundary = local.boundary
  depends_on           = [aws_iam_policy.boundary]

  lifecycle {
    precondition {
      condition     = !(local.by_token && local.pinned) || local.config.aws_access.project_id != ""
      error_message = "aws_access.project_id in config/${var.environment}.yaml must hold the number of the project on gitlab.com: a path alone can be taken over after a deletion."
    }
    precondition {
      condition     = local.by_token || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", local.config.aws_access.runner_role_arn))
      error_message = "aws_access.runner_role_arn in config/${var.environment}.yaml must be the ARN of the runner's role, without a wildcard: aws_access.auth is runner_role."
    }
    precondition {
      condition     = each.key != "approve" || !local.by_token || local.by_tier
      error_message = "aws_access.approve_role in config/${var.environment}.yaml needs sub_claims: tier: without the tier of a protected environment any job on main could approve a model. Set approve_role: false, and let people of people.stewards decide in the registry."
    }
    precondition {
      condition     = can(regex("^[^*?]+/[^*?]+$", local.full_path)) && !startswith(local.full_path, "/")
      error_message = "gitlab.yml must name group and project.path: the roles trust that project alone."
    }
    precondition {
      condition     = !local.by_token || endswith(local.provider, ":oidc-provider/${local.prefix}")
      error_message = "account.oidc_provider in config/${var.environment}.yaml must be create, none, or the ARN of the identity provider of ${local.prefix}, the url of gitlab.yml: arn:aws:iam::<account>:oidc-provider/${local.prefix}."
    }
    precondition {
      condition     = can(regex("^(arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+)?$", local.config.account.permissions_boundary))
      error_message = "account.permissions_boundary in config/${var.environment}.yaml must be the ARN of a policy, or blank: then one is made."
    }
  }
}

# One policy per area: a policy has at most 6,144 characters.
resource "aws_iam_policy" "job" {
  for_each = local.policies

  name = "${local.name}-${each.key}"
  path = "/${local.project}/"

  policy = jsonencode({ Version = "2012-10-17", Statement = [for statement in each.value.statements : jsondecode(statement)] })
}

resource "aws_iam_role_policy_attachment" "job" {
  for_each = local.policies

  role       = aws_iam_role.job[each.value.role].name
  policy_arn = aws_iam_policy.job[each.key].arn
}
