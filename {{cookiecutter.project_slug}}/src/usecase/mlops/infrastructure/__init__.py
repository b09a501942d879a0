"""Terraform's roots as commands: plan, deploy with verification, roll back, destroy, bootstrap, test."""
