mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

run "tiers" {
  command = plan

  variables {
    environment = "dev"
    config_dir  = "../../tests/config"
  }

  assert {
    condition     = join(" ", output.trusted.deploy) == "project_path:data/models/churn:ref_type:branch:ref:main:ref_protected:true:environment_protected:true:deployment_tier:development"
    error_message = "a plan shows which jobs may take a role"
  }
}

run "refs" {
  command = plan

  variables {
    environment = "prod"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition     = join(" ", output.trusted.deploy) == "project_path:data-science/models/long-names-of-a-use-case:ref_type:tag:ref:v*" && keys(output.trusted) == ["deploy", "plan"]
    error_message = "without tiers prod trusts tags alone"
  }
}

run "the_runner" {
  command = plan

  variables {
    environment = "qa"
    config_dir  = "./tests/others/config"
  }

  assert {
    condition     = alltrue([for claims in values(output.trusted) : length(claims) == 0])
    error_message = "where the runner's role is trusted, no claim is"
  }
}
