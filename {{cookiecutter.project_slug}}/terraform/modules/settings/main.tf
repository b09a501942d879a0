# The settings that Python reads too: config/<environment>.yaml over organisation.yaml over defaults.yaml, merged alike for two
# levels, as deep as what Terraform reads; below, Python merges on. A key without a value leaves that of the file beneath. Python
# refuses what organisation.yaml locks, before it starts Terraform.
locals {
  config_dir = coalesce(var.config_dir, "${path.module}/../../../config")
  base       = yamldecode(file("${local.config_dir}/defaults.yaml"))
  house_file = "${local.config_dir}/organisation.yaml"
  house      = { for key, value in yamldecode(fileexists(local.house_file) ? file(local.house_file) : "{}") : key => value if value != null && key != "locked" }
  defaults = {
    for key in setunion(keys(local.base), keys(local.house)) :
    key => try(
      merge(local.base[key], { for name, value in local.house[key] : name => value if value != null }),
      local.house[key],
      local.base[key],
    )
  }
  own = { for key, value in yamldecode(file("${local.config_dir}/${var.environment}.yaml")) : key => value if value != null }
  config = {
    for key in setunion(keys(local.defaults), keys(local.own)) :
    key => try(
      merge(local.defaults[key], { for name, value in local.own[key] : name => value if value != null }),
      local.own[key],
      local.defaults[key],
    )
  }

  stated = {
    for environment in ["dev", "qa", "prod"] : environment => try(yamldecode(file("${local.config_dir}/${environment}.yaml")), {})
  }
  regions  = { for environment, own in local.stated : environment => try(coalesce(own.aws_region), local.defaults.aws_region) }
  accounts = { for environment, own in local.stated : environment => try(tostring(own.aws_account), "") }

  # What is not named after its environment by itself: one account may hold several.
  groups = { for environment, own in local.stated : environment => {
    models   = try(coalesce(own.model_package_group), coalesce(local.defaults.model_package_group), "${local.config.project}-${environment}")
    features = try(own.feature_store.group, local.defaults.feature_store.group, "")
  } }
}
