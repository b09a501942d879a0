variables {
  instance_types = ["ml.m5.*", "ml.c5.large"]
}

run "everyone" {
  command = plan

  assert {
    condition     = alltrue([for statement in output.statements : jsondecode(statement).Effect == "Deny" && jsondecode(statement).Resource == "*"])
    error_message = "guardrails deny, and for all resources"
  }

  # What must be denied, by hand: statement, test, key, value -> actions.
  assert {
    condition = {
      for statement in output.statements : jsondecode(statement).Sid => [
        jsonencode(jsondecode(statement).Condition), join(" ", sort([for action in jsondecode(statement).Action : trimprefix(action, "sagemaker:")])),
      ]
      } == {
      OnlyInSubnets          = ["{\"Null\":{\"sagemaker:VpcSubnets\":\"true\"}}", "CreateHyperParameterTuningJob CreateModel CreateNotebookInstance CreateProcessingJob CreateTrainingJob"]
      OnlyWithSecurityGroups = ["{\"Null\":{\"sagemaker:VpcSecurityGroupIds\":\"true\"}}", "CreateHyperParameterTuningJob CreateModel CreateNotebookInstance CreateProcessingJob CreateTrainingJob"]
      OnlyEncryptedVolumes   = ["{\"Null\":{\"sagemaker:VolumeKmsKey\":\"true\",\"sagemaker:VolumeKmsKeyArn\":\"true\"}}", "CreateEndpointConfig CreateHyperParameterTuningJob CreateNotebookInstance CreateProcessingJob CreateTrainingJob CreateTransformJob"]
      OnlyEncryptedOutput    = ["{\"Null\":{\"sagemaker:OutputKmsKey\":\"true\",\"sagemaker:OutputKmsKeyArn\":\"true\"}}", "CreateHyperParameterTuningJob CreateProcessingJob CreateTrainingJob CreateTransformJob"]
      OnlyIsolated           = ["{\"BoolIfExists\":{\"sagemaker:NetworkIsolation\":\"false\"}}", "CreateHyperParameterTuningJob CreateModel CreateProcessingJob CreateTrainingJob"]
      OnlyEncryptedTraffic   = ["{\"BoolIfExists\":{\"sagemaker:InterContainerTrafficEncryption\":\"false\"}}", "CreateHyperParameterTuningJob CreateProcessingJob CreateTrainingJob"]
      NoRootInNotebooks      = ["{\"StringNotEqualsIfExists\":{\"sagemaker:RootAccess\":\"Disabled\"}}", "CreateNotebookInstance"]
      NoInternetInNotebooks  = ["{\"StringNotEqualsIfExists\":{\"sagemaker:DirectInternetAccess\":\"Disabled\"}}", "CreateNotebookInstance"]
      OnlyPendingVersions    = ["{\"StringNotEqualsIfExists\":{\"sagemaker:ModelApprovalStatus\":\"PendingManualApproval\"}}", "CreateModelPackage"]
      NoDecisions            = ["{\"StringEquals\":{\"sagemaker:ModelApprovalStatus\":[\"Approved\",\"Rejected\"]}}", "UpdateModelPackage"]
      OnlyTheseInstances     = ["{\"ForAnyValue:StringNotLike\":{\"sagemaker:InstanceTypes\":[\"ml.m5.*\",\"ml.c5.large\"]}}", "CreateEndpointConfig CreateHyperParameterTuningJob CreateNotebookInstance CreateProcessingJob CreateTrainingJob CreateTransformJob"]
      OnlyTheseForStudio     = ["{\"ForAnyValue:StringNotLike\":{\"sagemaker:InstanceTypes\":[\"ml.m5.*\",\"ml.c5.large\",\"system\"]}}", "CreateApp CreateSpace"]
    }
    error_message = "what is denied unless what is given"
  }

  assert {
    condition = alltrue(flatten([
      for statement in output.statements : [
        for keys in values(jsondecode(statement).Condition) : [
          for key in keys(keys) : [
            for action in jsondecode(statement).Action :
            contains(try(jsondecode(file("condition_keys.json"))[trimprefix(action, "sagemaker:")], []), trimprefix(key, "sagemaker:"))
          ]
        ]
      ]
    ]))
    error_message = "a pair of action and key that condition_keys.json does not have would deny the action altogether"
  }
}

run "stewards" {
  command = plan

  variables {
    may_decide = true
  }

  assert {
    condition     = alltrue([for statement in output.statements : !contains(["OnlyPendingVersions", "NoDecisions"], jsondecode(statement).Sid)]) && length(output.statements) == 10
    error_message = "stewards decide on versions; all else is denied to them too"
  }
}

run "no_instances" {
  command = plan

  variables {
    instance_types = []
  }

  expect_failures = [var.instance_types]
}

run "any_instance" {
  command = plan

  variables {
    instance_types = ["*"]
  }

  expect_failures = [var.instance_types]
}
