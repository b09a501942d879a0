mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

variables {
  config_dir = "../../tests/config"
}

run "another_account" {
  command = plan

  variables {
    environment = "prod"
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_policy.job["deploy-copies"].policy).Statement : statement.Sid => [statement.Action, statement.Resource] } == {
      FilesOfTheRecordAreRead      = ["s3:GetObject", [for prefix in ["registry/churn/", "churn/"] : "arn:aws:s3:::churn-dev-artifacts-111122223333/${prefix}*"]]
      FilesOfTheRecordAreListed    = ["s3:ListBucket", "arn:aws:s3:::churn-dev-artifacts-111122223333"]
      FilesOfTheRecordAreDecrypted = ["kms:Decrypt", "arn:aws:kms:*:111122223333:key/*"]
    }
    error_message = "a deploy job fetches the files of versions where they were made, and nothing else there"
  }

  assert {
    condition = alltrue([for statement in jsondecode(aws_iam_policy.job["deploy-copies"].policy).Statement :
      toset(statement.Condition.StringLike["kms:EncryptionContext:aws:s3:arn"]) == toset(["arn:aws:s3:::churn-dev-artifacts-111122223333", "arn:aws:s3:::churn-dev-artifacts-111122223333/*"])
      && statement.Condition.StringLike["kms:ViaService"] == "s3.*" if statement.Action == "kms:Decrypt"
    ])
    error_message = "keys there are used for objects of that bucket alone"
  }

  assert {
    condition     = contains(local.own_names, "arn:aws:s3:::churn-dev-artifacts-111122223333*")
    error_message = "the boundary lets it"
  }

  assert {
    condition     = toset([for key, attached in aws_iam_role_policy_attachment.job : key if attached.role == "churn-prod-deploy"]) == toset([for area in ["compute", "copies", "events", "network", "read", "state", "storage"] : "deploy-${area}"])
    error_message = "with the three of stage full these are ten policies, as many as a role can have"
  }
}

run "where_versions_are_made" {
  command = plan

  variables {
    environment = "dev"
  }

  assert {
    condition     = !contains(keys(aws_iam_policy.job), "deploy-copies")
    error_message = "nothing is copied to where it was made"
  }
}
