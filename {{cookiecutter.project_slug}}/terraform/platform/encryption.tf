# One key per purpose: who may read data need not read models, and a key that is given up takes nothing else with it.
locals {
  keys = {
    artifacts = "Models, code and images"
    data      = "Data to train with"
    volumes   = "Disks of jobs and endpoints"
    capture   = "Captured requests and answers"
    logs      = "Logs, queues and messages"
  }
}

module "key" {
  source   = "../modules/key"
  for_each = local.keys

  name    = "${local.name}-${each.key}"
  purpose = "${each.value} of ${local.name}"
  account = local.config.aws_account

  services      = each.key == "logs" ? ["cloudwatch.amazonaws.com"] : [] # alarms publish to encrypted topics
  log_groups_of = each.key == "logs" ? local.config.aws_region : null
  events        = each.key == "logs"
  readers       = each.key == "artifacts" ? local.copiers : []
}
