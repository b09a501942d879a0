mock_provider "aws" {
  source = "../tests/mocks"
}

# Keys and roles that can be told apart.
override_resource {
  target = module.key["artifacts"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/artifacts" }
}

override_resource {
  target = module.key["data"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/data" }
}

override_resource {
  target = module.key["volumes"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/volumes" }
}

override_resource {
  target = module.key["capture"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/capture" }
}

override_resource {
  target = module.key["logs"].aws_kms_key.this
  values = { arn = "arn:aws:kms:eu-west-1:111122223333:key/logs" }
}

override_resource {
  target = module.role["pipeline"].aws_iam_role.this
  values = { arn = "arn:aws:iam::111122223333:role/churn/churn-dev-pipeline" }
}

override_resource {
  target = module.role["processing"].aws_iam_role.this
  values = { arn = "arn:aws:iam::111122223333:role/churn/churn-dev-processing" }
}

override_resource {
  target = module.role["training"].aws_iam_role.this
  values = { arn = "arn:aws:iam::111122223333:role/churn/churn-dev-training" }
}

override_resource {
  target = module.role["inference"].aws_iam_role.this
  values = { arn = "arn:aws:iam::111122223333:role/churn/churn-dev-inference" }
}

override_resource {
  target = module.role["batch"].aws_iam_role.this
  values = { arn = "arn:aws:iam::111122223333:role/churn/churn-dev-batch" }
}

override_resource {
  target = module.role["scheduler"].aws_iam_role.this
  values = { arn = "arn:aws:iam::111122223333:role/churn/churn-dev-scheduler" }
}

variables {
  config_dir = "../tests/config"
}

run "facts" {
  variables {
    environment = "dev"
  }

  assert {
    condition = {
      for fact, key in { artifact = "artifacts", data = "data", volume = "volumes", capture = "capture", log = "logs" } :
      key => jsondecode(aws_ssm_parameter.platform.value)["${fact}_kms_key_arn"]
    } == { for key in ["artifacts", "data", "volumes", "capture", "logs"] : key => "arn:aws:kms:eu-west-1:111122223333:key/${key}" }
    error_message = "each key is for its own purpose"
  }

  assert {
    condition = {
      for role in ["pipeline", "processing", "training", "inference", "batch", "scheduler"] : role => local.facts["${role}_role_arn"]
    } == { for role in ["pipeline", "processing", "training", "inference", "batch", "scheduler"] : role => "arn:aws:iam::111122223333:role/churn/churn-dev-${role}" }
    error_message = "each role is for its own purpose"
  }

  assert {
    condition     = [local.facts.artifact_bucket, local.facts.data_bucket, local.facts.capture_bucket] == [for kind in ["artifacts", "data", "capture"] : "churn-dev-${kind}-111122223333"]
    error_message = "each bucket is for its own purpose"
  }

  assert {
    condition     = toset(keys(jsondecode(aws_ssm_parameter.platform.value))) == toset(keys(jsondecode(file("../tests/facts.json")))) && aws_ssm_parameter.platform.name == "/churn/dev/platform"
    error_message = "the facts are those that the Python code and terraform/serving read"
  }
}
