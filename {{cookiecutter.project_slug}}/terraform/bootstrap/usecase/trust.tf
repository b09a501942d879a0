# Which jobs of GitLab may take a role. Equality, never a pattern over projects: a path is pinned, and gitlab.com's number of
# the project too, since a path can be taken over after a deletion.
locals {
  gitlab = yamldecode(file(var.config_dir == null ? "${path.module}/../../../gitlab.yml" : "${var.config_dir}/../gitlab.yml"))
  issuer = trimsuffix(local.gitlab.url, "/")
  # Conditions name the issuer without its scheme.
  prefix   = trimprefix(trimprefix(local.issuer, "https://"), "http://")
  audience = try(coalesce(local.config.aws_access.audience), local.issuer)
  provider = (
    contains(["create", "none"], local.config.account.oidc_provider)
    ? "${local.iam}:oidc-provider/${local.prefix}" : local.config.account.oidc_provider
  )

  path     = "project_path:${trimprefix("${local.gitlab.group}/${local.gitlab.project.path}", "/")}"
  branch   = "${local.path}:ref_type:branch:ref:main"
  tier     = { dev = "development", qa = "staging", prod = "production" }[var.environment]
  by_tier  = local.config.aws_access.sub_claims == "tier"
  pinned   = local.prefix == "gitlab.com"
  by_token = local.config.aws_access.auth == "oidc"

  # Without tiers in the token (GitLab before 18.7), production is what a protected tag releases.
  subjects = {
    plan  = { test = "StringLike", sub = "${local.path}:ref_type:branch:ref:*" } # any branch, and nothing is written
    train = { test = "StringEquals", sub = local.by_tier ? "${local.branch}:ref_protected:true" : local.branch }
    deploy = (
      local.by_tier ? { test = "StringEquals", sub = "${local.branch}:ref_protected:true:environment_protected:true:deployment_tier:${local.tier}" }
      : var.environment == "prod" ? { test = "StringLike", sub = "${local.path}:ref_type:tag:ref:v*" }
      : { test = "StringEquals", sub = local.branch }
    )
  }

  trust = {
    for role, subject in local.subjects : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = local.by_token ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole"
        Principal = { for kind, who in { Federated = local.provider, AWS = local.config.aws_access.runner_role_arn } : kind => who if(kind == "Federated") == local.by_token }
        Condition = { for test, values in {
          StringEquals = merge(
            { "${local.prefix}:aud" = local.audience },
            { for key in ["${local.prefix}:project_id"] : key => local.config.aws_access.project_id if local.pinned },
            { for key in ["${local.prefix}:sub"] : key => subject.sub if subject.test == "StringEquals" },
          )
          StringLike = { for key in ["${local.prefix}:sub"] : key => subject.sub if subject.test == "StringLike" }
        } : test => values if local.by_token && length(values) > 0 }
      }]
    })
  }
}
