mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  config_dir = "../tests/config"
}

run "budget" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = aws_budgets_budget.monthly.limit_amount == "200" && aws_budgets_budget.monthly.time_unit == "MONTHLY"
    error_message = "the limit is budget.monthly_usd of config/<environment>.yaml"
  }

  assert {
    condition = toset([
      for notification in aws_budgets_budget.monthly.notification : notification.notification_type
      if contains(notification.subscriber_email_addresses, "owner@example.com")
    ]) == toset(["ACTUAL", "FORECASTED"])
    error_message = "the owner hears of a forecast and of an actual overrun"
  }
}
