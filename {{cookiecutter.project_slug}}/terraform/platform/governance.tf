# Tells the owner when the account is forecast to spend more than the month's budget, and when 80 % is spent.
resource "aws_budgets_budget" "monthly" {
  name         = local.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(local.monthly_usd)
  limit_unit   = "USD"

  dynamic "notification" {
    for_each = { FORECASTED = 100, ACTUAL = 80 }

    content {
      notification_type          = notification.key
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = [local.config.owner_email]
    }
  }

  lifecycle {
    precondition {
      condition     = local.monthly_usd > 0
      error_message = "config/${var.environment}.yaml: budget.monthly_usd must be a number of US dollars above 0."
    }
  }
}

locals {
  monthly_usd = try(coalesce(tonumber(local.config.budget.monthly_usd)), 0) # not a number, or no value: refused above
}
