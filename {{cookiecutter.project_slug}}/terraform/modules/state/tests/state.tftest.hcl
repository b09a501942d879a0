variables {
  config = {
    aws_account = "012345678901"
    aws_region  = "eu-west-1"
    account     = { state_bucket = "create", lock_table = "create" }
    state       = { bucket = "", lock = "s3", table = "" }
  }
}

run "by_default" {
  command = plan

  assert {
    condition     = output.bucket == "terraform-state-012345678901-eu-west-1"
    error_message = "the name of a bucket is global: account and region make it unique, and the account keeps its leading zero"
  }

  assert {
    condition     = output.table == null
    error_message = "a lock file in the bucket needs no table"
  }
}

run "names_to_be_made" {
  command = plan

  variables {
    config = merge(var.config, { state = { bucket = "our-states", lock = "both", table = "our-locks" } })
  }

  assert {
    condition     = output.bucket == "our-states" && output.table == "our-locks"
    error_message = "names of `state` count"
  }
}

run "what_exists" {
  command = plan

  variables {
    config = merge(var.config, {
      account = { state_bucket = "arn:aws:s3:::company-states", lock_table = "arn:aws:dynamodb:eu-west-1:012345678901:table/company-locks" }
      state   = { bucket = "our-states", lock = "dynamodb", table = "our-locks" }
    })
  }

  assert {
    condition     = output.bucket == "company-states" && output.table == "company-locks"
    error_message = "what exists counts before what would be made; of an ARN, its name"
  }
}

run "no_table" {
  command = plan

  variables {
    config = merge(var.config, {
      account = { state_bucket = "none", lock_table = "none" }
      state   = { bucket = "our-states", lock = "dynamodb", table = "" }
    })
  }

  expect_failures = [var.config]
}

run "no_bucket" {
  command = plan

  variables {
    config = merge(var.config, { account = { state_bucket = "none", lock_table = "none" } })
  }

  expect_failures = [var.config]
}

run "another_lock" {
  command = plan

  variables {
    config = merge(var.config, { state = { bucket = "", lock = "file", table = "" } })
  }

  expect_failures = [var.config]
}

run "no_name_of_a_bucket" {
  command = plan

  variables {
    config = merge(var.config, { account = { state_bucket = "Our States", lock_table = "create" } })
  }

  expect_failures = [var.config]
}

run "no_name_of_a_table" {
  command = plan

  variables {
    config = merge(var.config, { state = { bucket = "", lock = "both", table = "our locks" } })
  }

  expect_failures = [var.config]
}
