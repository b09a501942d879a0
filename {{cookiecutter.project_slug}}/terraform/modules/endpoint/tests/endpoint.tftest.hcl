mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "churn-dev"
  project            = "churn"
  environment        = "dev"
  model_name         = "churn-dev-v12-0a1b2c3d"
  volume_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  serving            = {}

  platform = {
    capture_bucket      = "churn-dev-capture-111122223333"
    capture_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/66666666-2222-3333-4444-555555555555"
    async_topic_arn     = "arn:aws:sns:eu-west-1:111122223333:churn-dev-async"
  }
}

run "realtime" {
  assert {
    condition     = output.name == "churn-dev" && output.config_name == aws_sagemaker_endpoint.this.endpoint_config_name && output.variant_name == "AllTraffic"
    error_message = "the endpoint must have the new config"
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.this.kms_key_arn == var.volume_kms_key_arn
    error_message = "the disks must be encrypted with the key"
  }

  assert {
    condition     = one(aws_sagemaker_endpoint_configuration.this.data_capture_config).destination_s3_uri == "s3://churn-dev-capture-111122223333/churn/capture/" && one(aws_sagemaker_endpoint_configuration.this.data_capture_config).kms_key_id == var.platform.capture_kms_key_arn
    error_message = "captured requests must go to the capture bucket, encrypted with its key"
  }

  assert {
    condition     = toset(one(aws_sagemaker_endpoint_configuration.this.data_capture_config).capture_options[*].capture_mode) == toset(["Input", "Output"])
    error_message = "requests and answers must be captured"
  }

  assert {
    condition     = toset([for alarm in aws_sagemaker_endpoint.this.deployment_config[0].auto_rollback_configuration[0].alarms : alarm.alarm_name]) == toset(module.guards[0].names) && length(module.guards[0].names) == 4
    error_message = "all four alarms of the new instances must take the roll-out back"
  }

  assert {
    condition     = alltrue([for name in module.guards[0].names : startswith(name, output.config_name)])
    error_message = "each config needs alarms of its own, in a state of their own"
  }

  assert {
    condition     = length(aws_sagemaker_endpoint_configuration.this.shadow_production_variants) == 0 && length(aws_sagemaker_endpoint_configuration.this.async_inference_config) == 0
    error_message = "neither a shadow nor a queue was asked for"
  }

  assert {
    condition     = aws_sagemaker_endpoint.this.deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].type == "ALL_AT_ONCE"
    error_message = "the default is all at once"
  }
}

run "no_capture" {
  command = plan

  variables {
    capture = { percentage = 0 }
  }

  assert {
    condition     = length(aws_sagemaker_endpoint_configuration.this.data_capture_config) == 0
    error_message = "0 percent are no capture"
  }
}

run "no_volume_key" {
  command = plan

  variables {
    volume_kms_key_arn = null
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.this.kms_key_arn == null
    error_message = "instances that encrypt their own disks take no key"
  }
}

run "canary" {
  command = plan

  variables {
    serving = { instance_count = 2 }
    rollout = { type = "canary", size_percent = 20 }
  }

  assert {
    condition     = aws_sagemaker_endpoint.this.deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].canary_size[0].value == 20 && length(aws_sagemaker_endpoint.this.deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].linear_step_size) == 0
    error_message = "the canary must have the given size"
  }
}

run "linear" {
  command = plan

  variables {
    serving = { instance_count = 2 }
    rollout = { type = "linear", size_percent = 50 }
  }

  assert {
    condition     = aws_sagemaker_endpoint.this.deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].linear_step_size[0].value == 50 && length(aws_sagemaker_endpoint.this.deployment_config[0].blue_green_update_policy[0].traffic_routing_configuration[0].canary_size) == 0
    error_message = "the steps must have the given size"
  }
}

run "rolling" {
  command = plan

  variables {
    serving = { instance_count = 2 }
    rollout = { type = "rolling", size_percent = 50 }
  }

  assert {
    condition     = aws_sagemaker_endpoint.this.deployment_config[0].rolling_update_policy[0].maximum_batch_size[0].value == 50 && length(aws_sagemaker_endpoint.this.deployment_config[0].blue_green_update_policy) == 0
    error_message = "a rolling update excludes blue and green"
  }
}

run "shadow" {
  command = plan

  variables {
    shadow_model_name = "churn-dev-shadow-v13-0a1b2c3d"
    shadow            = { sampling_percentage = 25, instance_count = 2 }
  }

  assert {
    condition     = one(aws_sagemaker_endpoint_configuration.this.shadow_production_variants).initial_variant_weight == 0.25 && one(aws_sagemaker_endpoint_configuration.this.shadow_production_variants).instance_type == "ml.m5.large"
    error_message = "the shadow must get a quarter of the requests, on instances as those of the endpoint"
  }
}

run "serverless" {
  command = plan

  variables {
    serving    = { mode = "serverless" }
    serverless = { memory_mb = 4096, max_concurrency = 10 }
    capture    = { percentage = 0 }
  }

  assert {
    condition     = one(aws_sagemaker_endpoint_configuration.this.production_variants[0].serverless_config).memory_size_in_mb == 4096 && aws_sagemaker_endpoint_configuration.this.production_variants[0].instance_type == null
    error_message = "serverless has memory, not instances"
  }

  assert {
    condition     = length(aws_sagemaker_endpoint.this.deployment_config) == 0 && length(module.guards) == 0 && aws_sagemaker_endpoint_configuration.this.kms_key_arn == null
    error_message = "serverless takes part in no roll-out and has no disks"
  }
}

run "async" {
  command = plan

  variables {
    serving = { mode = "async" }
    async   = { max_concurrent_invocations = 8 }
  }

  assert {
    condition     = one(one(aws_sagemaker_endpoint_configuration.this.async_inference_config).client_config).max_concurrent_invocations_per_instance == 8
    error_message = "the number of requests at a time must be as given"
  }

  assert {
    condition = (
      one(one(aws_sagemaker_endpoint_configuration.this.async_inference_config).output_config).s3_output_path == "s3://churn-dev-capture-111122223333/churn/async/answers/" &&
      one(one(aws_sagemaker_endpoint_configuration.this.async_inference_config).output_config).kms_key_id == var.platform.capture_kms_key_arn &&
      one(one(one(aws_sagemaker_endpoint_configuration.this.async_inference_config).output_config).notification_config).error_topic == var.platform.async_topic_arn
    )
    error_message = "answers must be encrypted in the capture bucket, and failures told"
  }

  assert {
    condition     = length(aws_sagemaker_endpoint_configuration.this.data_capture_config) == 0 && length(aws_sagemaker_endpoint.this.deployment_config[0].auto_rollback_configuration) == 1
    error_message = "files are kept already; roll-outs are taken back as those of real-time endpoints"
  }
}

run "an_unknown_mode_is_refused" {
  command = plan

  variables {
    serving = { mode = "edge" }
  }

  expect_failures = [var.serving]
}

run "one_instance_in_prod_is_refused" {
  command = plan

  variables {
    environment = "prod"
  }

  expect_failures = [var.serving]
}

run "inf1_is_refused" {
  command = plan

  variables {
    serving = { instance_type = "ml.inf1.xlarge" }
  }

  expect_failures = [var.serving]
}

run "serverless_on_a_gpu_is_refused" {
  command = plan

  variables {
    serving = { mode = "serverless", instance_type = "ml.g5.xlarge" }
    capture = { percentage = 0 }
  }

  expect_failures = [var.serving]
}

run "serverless_with_instances_is_refused" {
  command = plan

  variables {
    serving = { mode = "serverless", instance_count = 2 }
    capture = { percentage = 0 }
  }

  expect_failures = [var.serving]
}

# One value of each variable at a time: each of them must be refused.
run "values_out_of_range_are_refused" {
  command = plan

  variables {
    name       = "a-name-that-leaves-no-room-for-a-config"
    serverless = { memory_mb = 2000 }
    async      = { max_concurrent_invocations = 0 }
    capture    = { percentage = 101 }
    shadow     = { sampling_percentage = 0 }
  }

  expect_failures = [var.name, var.serverless, var.async, var.capture, var.shadow]
}

run "values_that_sagemaker_has_not_are_refused" {
  command = plan

  variables {
    serverless = { max_concurrency = 201 }
    shadow     = { instance_type = "ml.inf1.xlarge" }
  }

  expect_failures = [var.serverless, var.shadow]
}

run "serverless_capture_is_refused" {
  command = plan

  variables {
    serving = { mode = "serverless" }
  }

  expect_failures = [var.capture]
}

run "an_unknown_rollout_is_refused" {
  command = plan

  variables {
    rollout = { type = "blue_green" }
  }

  expect_failures = [var.rollout]
}

run "a_serverless_canary_is_refused" {
  command = plan

  variables {
    serving = { mode = "serverless" }
    capture = { percentage = 0 }
    rollout = { type = "canary" }
  }

  expect_failures = [var.rollout]
}

run "a_large_canary_is_refused" {
  command = plan

  variables {
    serving = { instance_count = 2 }
    rollout = { type = "canary", size_percent = 60 }
  }

  expect_failures = [var.rollout]
}

run "small_linear_steps_is_refused" {
  command = plan

  variables {
    serving = { instance_count = 20 }
    rollout = { type = "linear", size_percent = 5, wait_seconds = 180, termination_wait_seconds = 0, timeout_seconds = 3600 }
    alarms  = { evaluation_periods = 1 }
  }

  expect_failures = [var.rollout]
}

run "a_large_rolling_batch_is_refused" {
  command = plan

  variables {
    serving = { instance_count = 2 }
    rollout = { type = "rolling", size_percent = 60 }
  }

  expect_failures = [var.rollout]
}

run "a_canary_of_one_instance_is_refused" {
  command = plan

  variables {
    rollout = { type = "canary" }
  }

  expect_failures = [var.rollout]
}

run "a_rolling_shadow_is_refused" {
  command = plan

  variables {
    serving           = { instance_count = 2 }
    rollout           = { type = "rolling", size_percent = 50 }
    shadow_model_name = "churn-dev-shadow-v13-0a1b2c3d"
  }

  expect_failures = [var.rollout]
}

run "a_long_termination_wait_is_refused" {
  command = plan

  variables {
    rollout = { termination_wait_seconds = 3601, timeout_seconds = 3600 }
  }

  expect_failures = [var.rollout]
}

run "a_long_timeout_is_refused" {
  command = plan

  variables {
    rollout = { timeout_seconds = 3601 }
  }

  expect_failures = [var.rollout]
}

run "waits_beyond_the_timeout_is_refused" {
  command = plan

  variables {
    serving = { instance_count = 10 }
    rollout = { type = "linear", size_percent = 10 }
  }

  expect_failures = [var.rollout]
}

run "an_async_shadow_is_refused" {
  command = plan

  variables {
    serving           = { mode = "async" }
    shadow_model_name = "churn-dev-shadow-v13-0a1b2c3d"
  }

  expect_failures = [var.shadow_model_name]
}

run "alarms_that_cannot_go_off_is_refused" {
  command = plan

  variables {
    rollout = { wait_seconds = 120 }
  }

  expect_failures = [var.alarms]
}
