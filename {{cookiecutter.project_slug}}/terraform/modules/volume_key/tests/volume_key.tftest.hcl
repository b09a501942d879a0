variables {
  instance_types = ["ml.m5.large"]
  kms_key_arn    = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
}

run "volumes_have_the_key" {
  command = plan

  variables {
    instance_types = ["ml.m5.large", "ml.c6in.xlarge", "ml.m7i.large", "ml.r8g.medium", "ml.p3.2xlarge", "ml.inf2.xlarge", "ml.t2.medium", "ml.c6gn.large"]
  }

  assert {
    condition     = output.kms_key_arn == var.kms_key_arn
    error_message = "instances without disks of their own must use the key"
  }
}

run "disks_inside_the_instance_have_none" {
  command = plan

  variables {
    instance_types = ["ml.m5.large", "ml.m5d.large"]
  }

  assert {
    condition     = output.kms_key_arn == null
    error_message = "one instance with disks of its own is enough: SageMaker would refuse the key"
  }
}

run "graviton_disks_have_none" {
  command = plan

  variables {
    instance_types = ["ml.r7gd.medium"]
  }

  assert {
    condition     = output.kms_key_arn == null
    error_message = "r7gd has disks of its own"
  }
}

run "accelerators_have_none" {
  command = plan

  variables {
    instance_types = ["ml.g6e.xlarge"]
  }

  assert {
    condition     = output.kms_key_arn == null
    error_message = "g6e has disks of its own"
  }
}

run "an_unknown_instance_type_is_refused" {
  command = plan

  variables {
    instance_types = ["m5.large"]
  }

  expect_failures = [var.instance_types]
}
