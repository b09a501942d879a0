# Denials for every role that starts something in SageMaker: what the pipeline's definition and Terraform set cannot be left
# out by hand either. A condition key that an action does not have would deny the action altogether, so each pair stands in
# condition_keys.json, from the service authorization reference of SageMaker ("Actions, resources, and condition keys").
locals {
  condition_keys = jsondecode(file("${path.module}/condition_keys.json"))

  jobs     = ["CreateTrainingJob", "CreateProcessingJob", "CreateHyperParameterTuningJob"]
  in_a_vpc = concat(local.jobs, ["CreateModel", "CreateNotebookInstance"])
  volumes  = concat(local.jobs, ["CreateTransformJob", "CreateEndpointConfig", "CreateNotebookInstance"])

  # One statement per key: in one block, giving just one of two keys would pass.
  rules = concat(
    [
      { sid = "OnlyInSubnets", actions = local.in_a_vpc, test = "Null", keys = ["VpcSubnets"], value = "true" },
      { sid = "OnlyWithSecurityGroups", actions = local.in_a_vpc, test = "Null", keys = ["VpcSecurityGroupIds"], value = "true" },
      # AWS's pages name these keys with and without Arn. Denied is only who gives neither.
      { sid = "OnlyEncryptedVolumes", actions = local.volumes, test = "Null", keys = ["VolumeKmsKey", "VolumeKmsKeyArn"], value = "true" },
      { sid = "OnlyEncryptedOutput", actions = concat(local.jobs, ["CreateTransformJob"]), test = "Null", keys = ["OutputKmsKey", "OutputKmsKeyArn"], value = "true" },
      # IfExists: who leaves the flag out is denied too.
      { sid = "OnlyIsolated", actions = concat(local.jobs, ["CreateModel"]), test = "BoolIfExists", keys = ["NetworkIsolation"], value = "false" },
      { sid = "OnlyEncryptedTraffic", actions = local.jobs, test = "BoolIfExists", keys = ["InterContainerTrafficEncryption"], value = "false" },
      { sid = "NoRootInNotebooks", actions = ["CreateNotebookInstance"], test = "StringNotEqualsIfExists", keys = ["RootAccess"], value = "Disabled" },
      { sid = "NoInternetInNotebooks", actions = ["CreateNotebookInstance"], test = "StringNotEqualsIfExists", keys = ["DirectInternetAccess"], value = "Disabled" },
    ],
    [for rule in [
      { sid = "OnlyPendingVersions", actions = ["CreateModelPackage"], test = "StringNotEqualsIfExists", keys = ["ModelApprovalStatus"], value = "PendingManualApproval" },
      { sid = "NoDecisions", actions = ["UpdateModelPackage"], test = "StringEquals", keys = ["ModelApprovalStatus"], value = ["Approved", "Rejected"] },
    ] : rule if !var.may_decide],
  )

  statements = concat(
    [for rule in local.rules : {
      Sid       = rule.sid
      Effect    = "Deny"
      Action    = [for action in rule.actions : "sagemaker:${action}"]
      Resource  = "*" # a denial is for all
      Condition = { (rule.test) = { for key in rule.keys : "sagemaker:${key}" => rule.value } }
    }],
    # "system" is what Studio calls the instance of an application that runs on none of the account's.
    [for sid, rule in {
      OnlyTheseInstances = { actions = local.volumes, types = var.instance_types }
      OnlyTheseForStudio = { actions = ["CreateApp", "CreateSpace"], types = concat(var.instance_types, ["system"]) }
      } : {
      Sid       = sid
      Effect    = "Deny"
      Action    = [for action in rule.actions : "sagemaker:${action}"]
      Resource  = "*" # a denial is for all
      Condition = { "ForAnyValue:StringNotLike" = { "sagemaker:InstanceTypes" = rule.types } }
    }],
  )

  # Pairs that the statements use and the table does not have.
  unknown = distinct(flatten([
    for statement in local.statements : [
      for keys in values(statement.Condition) : [
        for key in keys(keys) : [
          for action in statement.Action : "${action} ${key}"
          if !contains(try(local.condition_keys[trimprefix(action, "sagemaker:")], []), trimprefix(key, "sagemaker:"))
        ]
      ]
    ]
  ]))
}
