"""Tests of the verbs over Terraform: on moto, with a program in Terraform's place where only its calls matter."""
