module "request_alarms" {
  source = "../.."

  name       = "churn-dev"
  dimensions = { EndpointName = "churn-dev", VariantName = "AllTraffic" }
  thresholds = { errors_percent = 2 }
}
