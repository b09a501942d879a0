# GitLab signs a token for each job; AWS trusts its issuer, and the roles of terraform/bootstrap/usecase say which jobs.
locals {
  gitlab   = yamldecode(file(var.config_dir == null ? "${path.module}/../../../gitlab.yml" : "${var.config_dir}/../gitlab.yml"))
  issuer   = trimsuffix(local.gitlab.url, "/")
  audience = try(coalesce(local.config.aws_access.audience), local.issuer)
}

resource "aws_iam_openid_connect_provider" "gitlab" {
  count = local.made.oidc_provider && local.config.aws_access.auth == "oidc" ? 1 : 0

  url            = local.issuer
  client_id_list = [local.audience]

  lifecycle {
    precondition {
      condition     = startswith(local.issuer, "https://")
      error_message = "url in gitlab.yml must begin with https://: AWS fetches GitLab's keys from there. If it cannot reach it, set aws_access.auth: runner_role in config/${var.environment}.yaml."
    }
  }
}
