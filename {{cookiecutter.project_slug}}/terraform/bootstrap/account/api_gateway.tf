# API Gateway writes the logs of all APIs of an account and region with one role.
module "api_gateway_role" {
  source = "../../modules/role"
  count  = local.made.api_gateway_role ? 1 : 0

  name    = "account-api-gateway"
  project = "account"
  purpose = "API Gateway, which writes to CloudWatch Logs"
  service = "apigateway.amazonaws.com"
  account = null # API Gateway does not say whose API it is
  statements = [jsonencode({
    Sid      = "LogsAreWritten"
    Effect   = "Allow"
    Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:PutLogEvents"]
    Resource = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:*" # API Gateway chooses the names
  })]
}

resource "aws_api_gateway_account" "this" {
  count = local.made.api_gateway_role ? 1 : 0

  cloudwatch_role_arn = module.api_gateway_role[0].arn
}
