# Which jobs of GitLab may take a role. Equality, never a pattern over projects: a path is pinned, and gitlab.com's number of
# the project too, since a path can be taken over after a deletion.
locals {
  gitlab    = yamldecode(file(var.config_dir == null ? "${path.module}/../../../gitlab.yml" : "${var.config_dir}/../gitlab.yml"))
  issuer    = trimsuffix(local.gitlab.url, "/")
  prefix    = trimprefix(local.issuer, "https://") # conditions name the issuer without its scheme
  full_path = "${local.gitlab.group}/${local.gitlab.project.path}"
  audience  = try(coalesce(local.config.aws_access.audience), local.issuer)
  provider = (
    contains(["create", "none"], local.config.account.oidc_provider)
    ? "${local.iam}:oidc-provider/${local.prefix}" : local.config.account.oidc_provider
  )
  by_token = local.config.aws_access.auth == "oidc"
  by_tier  = local.config.aws_access.sub_claims == "tier"
  pinned   = local.prefix == "gitlab.com"

  # The claims of `sub`, in the order that tools/gitlab_setup.py asks GitLab for. A job without an environment has no tier there.
  path      = "project_path:${local.full_path}"
  on_main   = "${local.path}:ref_type:branch:ref:main"
  tiers     = { dev = "development", qa = "staging", prod = "production" }
  protected = "${local.on_main}:ref_protected:true"
  deploying = { for environment, tier in local.tiers : environment => "${local.protected}:environment_protected:true:deployment_tier:${tier}" }
  on_tag    = "${local.path}:ref_type:tag:ref:v*"

  # By role and test. Without tiers (GitLab before 18.7), production is what a protected tag releases.
  subjects = {
    plan  = { StringLike = ["${local.path}:ref_type:branch:ref:*"] } # any branch, and nothing is written
    train = { StringEquals = [local.by_tier ? local.protected : local.on_main] }
    # Jobs of the protected environment model-approval, and there is no such role without tiers.
    approve = { StringEquals = ["${local.protected}:environment_protected:true:deployment_tier:other"] }
    deploy = (
      local.by_tier ? { StringEquals = [local.deploying[var.environment]] }
      : var.environment == "prod" ? { StringLike = [local.on_tag] } : { StringEquals = [local.on_main] }
    )
    # The jobs that deploy to the other environments.
    promote = (
      local.by_tier ? { StringEquals = [for environment, subject in local.deploying : subject if environment != var.environment] }
      : { StringLike = [local.on_main, local.on_tag] }
    )
  }

  who = local.by_token ? { Federated = local.provider } : { AWS = local.config.aws_access.runner_role_arn }
  known_by = {
    for role, subject in local.subjects : role => {
      StringEquals = merge(
        { "${local.prefix}:aud" = local.audience },
        local.pinned ? { "${local.prefix}:project_id" = local.config.aws_access.project_id } : {},
        { for subjects in try([subject.StringEquals], []) : "${local.prefix}:sub" => subjects },
      )
      StringLike = { for subjects in try([subject.StringLike], []) : "${local.prefix}:sub" => subjects }
    }
  }

  trust = {
    for role in keys(local.subjects) : role => jsonencode({
      Version = "2012-10-17"
      Statement = [merge(
        { Effect = "Allow", Action = local.by_token ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole", Principal = local.who },
        local.by_token ? { Condition = { for test, values in local.known_by[role] : test => values if length(values) > 0 } } : {},
      )]
    })
  }
}
