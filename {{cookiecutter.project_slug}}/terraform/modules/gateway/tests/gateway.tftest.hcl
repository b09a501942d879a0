mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name            = "churn-dev"
  project         = "churn"
  environment     = "dev"
  account         = "111122223333"
  region          = "eu-west-1"
  endpoint_name   = "churn-dev"
  mode            = "realtime"
  log_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"

  contract = {
    policy = { unseen_category = "reject", out_of_range = "reject" }
    schema = {
      fields = [
        { name = "customer", type = "string", role = "id" },
        { name = "age", type = "integer", role = "feature", constraints = { required = true, minimum = 18, maximum = 120 } },
        { name = "income", type = "number", role = "feature", constraints = { minimum = 0.5 } },
        { name = "plan", type = "string", role = "feature", constraints = { required = true, enum = ["basic", "extra"] } },
        { name = "active", type = "boolean", role = "feature", trueValues = ["yes"], falseValues = ["no"] },
        { name = "since", type = "date", role = "feature", constraints = { minimum = "2020-01-01" } },
        { name = "churned", type = "boolean", role = "target" },
      ]
    }
  }
}

run "signed_by_iam" {
  assert {
    condition     = aws_api_gateway_method.predict.authorization == "AWS_IAM" && !aws_api_gateway_method.predict.api_key_required && length(aws_api_gateway_usage_plan.this) == 0
    error_message = "callers must sign"
  }

  assert {
    condition     = output.url == "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/dev/predictions" && output.usage_plan_id == null
    error_message = "the address must be that of the stage"
  }

  assert {
    condition     = endswith(aws_api_gateway_integration.endpoint.uri, ":runtime.sagemaker:path/endpoints/churn-dev/invocations") && aws_api_gateway_integration.endpoint.passthrough_behavior == "NEVER"
    error_message = "the endpoint must be asked, with JSON only"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn-dev" && length(jsondecode(aws_iam_role_policy.this.policy).Statement) == 1
    error_message = "the role may ask this endpoint and do nothing else"
  }

  assert {
    condition     = one(aws_api_gateway_method_settings.this.settings).throttling_rate_limit == 50 && !one(aws_api_gateway_method_settings.this.settings).data_trace_enabled && aws_api_gateway_stage.this.xray_tracing_enabled
    error_message = "calls must be throttled and traced, without their content"
  }

  assert {
    condition     = alltrue([for group in [aws_cloudwatch_log_group.access, aws_cloudwatch_log_group.firewall] : group.kms_key_id == var.log_kms_key_arn && group.retention_in_days == 365]) && startswith(aws_cloudwatch_log_group.firewall.name, "aws-waf-logs-")
    error_message = "both logs must be encrypted and kept for a year"
  }
}

run "schema_of_a_strict_contract" {
  command = plan

  assert {
    condition     = toset(keys(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items.properties)) == toset(["age", "income", "plan", "active", "since"])
    error_message = "a row has the features, neither id nor target"
  }

  assert {
    condition     = toset(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items.required) == toset(["age", "plan"])
    error_message = "what is required must be there"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items.properties.age) == jsonencode({ maximum = 120, minimum = 18, type = ["integer"] })
    error_message = "a required integer must have its type and bounds, and no null"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items.properties.income) == jsonencode({ minimum = 0.5, type = ["number", "null"] })
    error_message = "an optional number may be null"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items.properties.plan) == jsonencode({ enum = ["basic", "extra"] })
    error_message = "a required category must be a known one"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items.properties.active) == jsonencode({ enum = [true, false, "yes", "no", null] })
    error_message = "a boolean may come as true and false, in the contract's words, or not"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items.properties.since) == jsonencode({ type = ["string", "null"] })
    error_message = "bounds of dates are left to the model"
  }
}

run "schema_of_a_lenient_contract" {
  command = plan

  variables {
    contract = {
      policy = { unseen_category = "missing", out_of_range = "flag" }
      schema = {
        fields = [
          { name = "age", type = "integer", role = "feature", constraints = { minimum = 18, maximum = 120 } },
          { name = "plan", type = "string", role = "feature", constraints = { enum = ["basic", "extra"] } },
        ]
      }
    }
  }

  assert {
    condition     = jsonencode(jsondecode(aws_api_gateway_model.request.schema).properties.instances.items) == jsonencode({ additionalProperties = false, properties = { age = { type = ["integer", "null"] }, plan = { type = ["string", "null"] } }, type = "object" })
    error_message = "what the contract lets through with a warning, the gateway lets through"
  }
}

run "the_firewall_comes_first" {
  assert {
    condition     = aws_wafv2_web_acl_association.this.resource_arn == aws_api_gateway_stage.this.arn && aws_wafv2_web_acl_association.this.web_acl_arn == aws_wafv2_web_acl.this.arn
    error_message = "the stage must stand behind the firewall"
  }

  assert {
    condition     = toset([for rule in aws_wafv2_web_acl.this.rule : rule.name]) == toset(["rate", "body", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"])
    error_message = "rate, size and AWS's two rule sets must be there"
  }

  assert {
    condition     = one([for rule in aws_wafv2_web_acl.this.rule : rule.statement[0].size_constraint_statement[0].size if rule.name == "body"]) == 65536 && one(one(one(aws_wafv2_web_acl.this.association_config).request_body).api_gateway).default_size_inspection_limit == "KB_64"
    error_message = "64 KB must be allowed and read"
  }

  assert {
    condition     = toset(aws_wafv2_web_acl_logging_configuration.this.log_destination_configs) == toset([aws_cloudwatch_log_group.firewall.arn])
    error_message = "what the firewall does must be logged"
  }
}

run "small_bodies_are_read_for_less" {
  command = plan

  variables {
    gateway = { maximum_body_kb = 16 }
  }

  assert {
    condition     = one(one(one(aws_wafv2_web_acl.this.association_config).request_body).api_gateway).default_size_inspection_limit == "KB_16"
    error_message = "16 KB are included in the price"
  }
}

run "known_by_key" {
  command = plan

  variables {
    gateway = { auth = "key", daily_quota = 1000 }
  }

  assert {
    condition     = aws_api_gateway_method.predict.api_key_required && aws_api_gateway_method.predict.authorization == "NONE" && aws_api_gateway_usage_plan.this[0].quota_settings[0].limit == 1000
    error_message = "callers must have a key, and 1000 calls a day"
  }
}

run "no_quota" {
  command = plan

  variables {
    gateway = { auth = "key" }
  }

  assert {
    condition     = length(aws_api_gateway_usage_plan.this[0].quota_settings) == 0
    error_message = "0 is no quota"
  }
}

run "an_endpoint_with_a_queue_is_refused" {
  command = plan

  variables {
    mode = "async"
  }

  expect_failures = [var.mode]
}

run "a_contract_without_features_is_refused" {
  command = plan

  variables {
    contract = { schema = { fields = [{ name = "churned", type = "boolean", role = "target" }] } }
  }

  expect_failures = [var.contract]
}

run "no_auth_is_refused" {
  command = plan

  variables {
    gateway = { auth = "none" }
  }

  expect_failures = [var.gateway]
}

run "a_quota_without_keys_is_refused" {
  command = plan

  variables {
    gateway = { daily_quota = 5 }
  }

  expect_failures = [var.gateway]
}

run "a_burst_below_the_rate_is_refused" {
  command = plan

  variables {
    gateway = { requests_per_second = 50, burst = 10 }
  }

  expect_failures = [var.gateway]
}

run "a_rate_below_waf_is_refused" {
  command = plan

  variables {
    gateway = { rate_limit_per_5_minutes = 5 }
  }

  expect_failures = [var.gateway]
}

run "a_large_body_is_refused" {
  command = plan

  variables {
    gateway = { maximum_body_kb = 65 }
  }

  expect_failures = [var.gateway]
}
