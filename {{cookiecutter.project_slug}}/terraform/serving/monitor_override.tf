# Stage full, added to the block of main.tf: what watches the monitor is told with what watches the endpoint, and shown beside it.
module "alarms" {
  source = "../modules/alarms"

  others = {
    alarms = flatten(module.monitor[*].alarms)
    shown  = module.monitor[*].drift_alarm
    graphs = merge(module.monitor[*].graphs...)
  }
}
