data "aws_partition" "current" {}

locals {
  partition    = data.aws_partition.current.partition
  endpoint_arn = "arn:${local.partition}:sagemaker:${var.region}:${var.account}:endpoint/${var.endpoint_name}"

  # ModelError (424) wraps the model's own answer and names a log stream, which is nobody's business: status and text of the
  # model are unwrapped.
  unwrapped = join("", [
    "#set($status = $input.path('$.OriginalStatusCode'))",
    "#if($status != '')#set($context.responseOverride.status = $status)$input.path('$.OriginalMessage')",
    "#else${jsonencode({ message = "The request was refused" })}#end",
  ])

  # What a caller gets, by what SageMaker answers.
  answers = {
    "200" = { pattern = null, template = "$input.body" }
    "400" = { pattern = "4\\d{2}", template = local.unwrapped }
    "502" = { pattern = "5\\d{2}", template = jsonencode({ message = "The model could not answer" }) }
  }
}

resource "aws_api_gateway_rest_api" "this" {
  name                         = var.name
  description                  = "Predictions of ${var.name}"
  disable_execute_api_endpoint = false # there is no other name

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_resource" "predictions" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "predictions"
}

resource "aws_api_gateway_request_validator" "this" {
  name                        = "everything"
  rest_api_id                 = aws_api_gateway_rest_api.this.id
  validate_request_body       = true
  validate_request_parameters = true
}

resource "aws_api_gateway_model" "request" {
  rest_api_id  = aws_api_gateway_rest_api.this.id
  name         = "Request"
  description  = "Rows to predict: features of data_contract.yaml"
  content_type = "application/json"
  schema       = jsonencode(local.request_schema)
}

resource "aws_api_gateway_method" "predict" {
  rest_api_id          = aws_api_gateway_rest_api.this.id
  resource_id          = aws_api_gateway_resource.predictions.id
  http_method          = "POST"
  authorization        = var.gateway.auth == "iam" ? "AWS_IAM" : "NONE"
  api_key_required     = var.gateway.auth == "key"
  request_validator_id = aws_api_gateway_request_validator.this.id
  request_models       = { (aws_api_gateway_model.request.content_type) = aws_api_gateway_model.request.name }
}

resource "aws_api_gateway_integration" "endpoint" {
  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = aws_api_gateway_resource.predictions.id
  http_method             = aws_api_gateway_method.predict.http_method
  type                    = "AWS"
  integration_http_method = "POST"
  uri                     = "arn:${local.partition}:apigateway:${var.region}:runtime.sagemaker:path/endpoints/${var.endpoint_name}/invocations"
  credentials             = aws_iam_role.this.arn
  timeout_milliseconds    = 29000

  # Anything but JSON would get past the schema: it is answered with 415.
  passthrough_behavior = "NEVER"
  request_templates    = { "application/json" = "$input.body" }

  request_parameters = {
    "integration.request.header.Accept"       = "'application/json'"
    "integration.request.header.Content-Type" = "'application/json'"
  }
}

resource "aws_api_gateway_method_response" "this" {
  for_each = local.answers

  rest_api_id     = aws_api_gateway_rest_api.this.id
  resource_id     = aws_api_gateway_resource.predictions.id
  http_method     = aws_api_gateway_method.predict.http_method
  status_code     = each.key
  response_models = { "application/json" = "Empty" }
}

resource "aws_api_gateway_integration_response" "this" {
  for_each = local.answers

  rest_api_id        = aws_api_gateway_rest_api.this.id
  resource_id        = aws_api_gateway_resource.predictions.id
  http_method        = aws_api_gateway_integration.endpoint.http_method
  status_code        = aws_api_gateway_method_response.this[each.key].status_code
  selection_pattern  = each.value.pattern
  response_templates = { "application/json" = each.value.template }
}

# Says which cell breaks the schema, not only that one does.
resource "aws_api_gateway_gateway_response" "bad_request" {
  rest_api_id        = aws_api_gateway_rest_api.this.id
  response_type      = "BAD_REQUEST_BODY"
  status_code        = "400"
  response_templates = { "application/json" = "{\"message\": $context.error.messageString, \"errors\": \"$context.error.validationErrorString\"}" }
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # A stage serves what was deployed, not what is configured: every change, also of this file, is a new deployment.
  triggers = {
    content = sha256(jsonencode([
      filesha256("${path.module}/main.tf"), local.request_schema, var.gateway.auth, var.endpoint_name, aws_iam_role.this.arn,
    ]))
  }

  depends_on = [
    aws_api_gateway_gateway_response.bad_request,
    aws_api_gateway_integration_response.this,
    aws_api_gateway_method.predict,
  ]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV_AWS_120:each row has its own answer, of the version that serves: a cache would keep old ones
  #checkov:skip=CKV2_AWS_77:Log4j is stopped by the known bad inputs; it also wants the list of anonymous addresses, which blocks the cloud hosts that callers run on
  #checkov:skip=CKV2_AWS_51:there is no server behind it that could ask for a certificate, SageMaker is called with a signature
  rest_api_id          = aws_api_gateway_rest_api.this.id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = var.environment
  xray_tracing_enabled = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn

    # Who asked, and what came of it; never what was asked.
    format = jsonencode({
      requestId      = "$context.requestId"
      time           = "$context.requestTime"
      ip             = "$context.identity.sourceIp"
      caller         = "$context.identity.userArn"
      apiKeyId       = "$context.identity.apiKeyId"
      method         = "$context.httpMethod"
      path           = "$context.resourcePath"
      status         = "$context.status"
      integration    = "$context.integration.status"
      waf            = "$context.wafResponseCode"
      error          = "$context.error.responseType"
      responseLength = "$context.responseLength"
      latencyMs      = "$context.responseLatency"
    })
  }
}

resource "aws_api_gateway_method_settings" "this" {
  #checkov:skip=CKV_AWS_225:each row has its own answer, of the version that serves: a cache would keep old ones
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false # would write requests and answers into the log
    throttling_rate_limit  = var.gateway.requests_per_second
    throttling_burst_limit = var.gateway.burst
  }
}

# Keys are made outside of Terraform, whose state would hold them.
resource "aws_api_gateway_usage_plan" "this" {
  count = var.gateway.auth == "key" ? 1 : 0

  name        = var.name
  description = "Who has a key of this plan may ask ${var.name}"

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }

  throttle_settings {
    rate_limit  = var.gateway.requests_per_second
    burst_limit = var.gateway.burst
  }

  dynamic "quota_settings" {
    for_each = var.gateway.daily_quota > 0 ? [var.gateway.daily_quota] : []

    content {
      limit  = quota_settings.value
      period = "DAY"
    }
  }
}

resource "aws_cloudwatch_log_group" "access" {
  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.gateway.log_days
  kms_key_id        = var.log_kms_key_arn
}

# May ask this one endpoint, and nothing else.
resource "aws_iam_role" "this" {
  name                 = "${var.name}-gateway"
  path                 = "/${var.project}/"
  description          = "API Gateway, which asks the endpoint"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "apigateway.amazonaws.com" }
      # If the account is told: AWS promises it for some of its services only.
      Condition = { StringEqualsIfExists = { "aws:SourceAccount" = var.account } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "work"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "EndpointIsAsked"
      Effect   = "Allow"
      Action   = "sagemaker:InvokeEndpoint"
      Resource = local.endpoint_arn
    }]
  })
}
