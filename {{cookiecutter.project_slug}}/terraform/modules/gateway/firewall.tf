locals {
  body_bytes = var.gateway.maximum_body_kb * 1024

  # WAF reads that much of a body; more than 16 KB costs extra.
  inspected = one([for limit in [16, 32, 48, 64] : "KB_${limit}" if var.gateway.maximum_body_kb <= limit && var.gateway.maximum_body_kb > limit - 16])
}

resource "aws_wafv2_web_acl" "this" {
  name        = var.name
  description = "In front of the API of ${var.name}"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  association_config {
    request_body {
      api_gateway {
        default_size_inspection_limit = local.inspected
      }
    }
  }

  rule {
    name     = "rate"
    priority = 10

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }

    statement {
      rate_based_statement {
        limit                 = var.gateway.rate_limit_per_5_minutes
        evaluation_window_sec = 300
        aggregate_key_type    = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-rate"
      sampled_requests_enabled   = false # samples would show requests
    }
  }

  rule {
    name     = "body"
    priority = 20

    action {
      block {
        custom_response {
          response_code = 413
        }
      }
    }

    statement {
      size_constraint_statement {
        comparison_operator = "GT"
        size                = local.body_bytes

        field_to_match {
          body {
            oversize_handling = "MATCH" # larger than WAF reads is too large
          }
        }

        text_transformation {
          priority = 0
          type     = "NONE"
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-body"
      sampled_requests_enabled   = false
    }
  }

  # AWS's rules against what attacks any web service.
  rule {
    name     = "AWSManagedRulesKnownBadInputsRuleSet"
    priority = 30

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesKnownBadInputsRuleSet"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-bad-inputs"
      sampled_requests_enabled   = false
    }
  }

  rule {
    name     = "AWSManagedRulesCommonRuleSet"
    priority = 40

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesCommonRuleSet"

        # 8 KB, where the rule above has our own limit.
        rule_action_override {
          name = "SizeRestrictions_BODY"

          action_to_use {
            count {}
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-common"
      sampled_requests_enabled   = false
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  resource_arn = aws_api_gateway_stage.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}

resource "aws_cloudwatch_log_group" "firewall" {
  name              = "aws-waf-logs-${var.name}" # WAF writes to no other name
  retention_in_days = var.gateway.log_days
  kms_key_id        = var.log_kms_key_arn
}

resource "aws_cloudwatch_log_resource_policy" "firewall" {
  policy_name = "${var.name}-firewall"

  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "FirewallLogs"
      Effect    = "Allow"
      Principal = { Service = "delivery.logs.amazonaws.com" }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.firewall.arn}:*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:logs:${var.region}:${var.account}:*" }
      }
    }]
  })
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.firewall.arn]

  # What proves who somebody is stays out of the log.
  dynamic "redacted_fields" {
    for_each = ["authorization", "x-amz-security-token", "x-api-key"]

    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }

  depends_on = [aws_cloudwatch_log_resource_policy.firewall]
}
