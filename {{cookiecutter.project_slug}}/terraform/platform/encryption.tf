# One key per purpose: who may read data need not read models, and a key that is given up takes nothing else with it.
module "key" {
  source   = "../modules/key"
  for_each = local.keys

  name     = "${local.name}-${each.key}"
  purpose  = "${each.value.purpose} of ${local.name}"
  account  = local.config.aws_account
  services = each.value.services
  readers  = each.key == "artifacts" ? local.copiers : []
}

locals {
  keys = {
    artifacts = { purpose = "Models, code and images", services = [] }
    data      = { purpose = "Data to train with", services = [] }
    volumes   = { purpose = "Disks of jobs and endpoints", services = [] }
    capture   = { purpose = "Captured requests and answers", services = [] }
    logs = {
      purpose = "Logs, queues and messages"
      services = [
        "logs.${local.config.aws_region}.amazonaws.com",
        "cloudwatch.amazonaws.com", # alarms publish to encrypted topics
        "events.amazonaws.com",     # rules send to encrypted queues and topics
        "sns.amazonaws.com",
      ]
    }
  }
}
