module "settings" {
  source = "../.."

  environment = "dev"
  root        = "example"
}

output "name" {
  description = "What names begin with."
  value       = module.settings.name
}
