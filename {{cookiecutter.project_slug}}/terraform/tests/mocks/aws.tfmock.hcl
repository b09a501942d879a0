# What the provider checks the form of: without these, computed values are random letters.
mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::churn-dev-artifacts-111122223333" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/churn-dev/one" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/churn/churn-dev-one" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-west-1:111122223333:churn-dev-one" }
}

mock_resource "aws_cloudwatch_event_connection" {
  defaults = { arn = "arn:aws:events:eu-west-1:111122223333:connection/churn-dev-gitlab/11111111-2222-3333-4444-555555555555" }
}

mock_resource "aws_cloudwatch_event_api_destination" {
  defaults = { arn = "arn:aws:events:eu-west-1:111122223333:api-destination/churn-dev-gitlab/11111111-2222-3333-4444-555555555555" }
}

mock_resource "aws_sqs_queue" {
  defaults = { arn = "arn:aws:sqs:eu-west-1:111122223333:churn-dev-one" }
}

mock_resource "aws_iam_openid_connect_provider" {
  defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/gitlab.com" }
}

mock_resource "aws_iam_service_linked_role" {
  defaults = { arn = "arn:aws:iam::111122223333:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig" }
}
