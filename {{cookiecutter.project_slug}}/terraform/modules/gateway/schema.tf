# The request as a JSON schema (draft 4, as API Gateway has it), from data_contract.yaml: {"instances": [{feature: value}]}.
# It refuses what the model would refuse. What the contract lets through with a warning (policy: flag, missing) stays allowed.
locals {
  features = [for field in var.contract.schema.fields : field if field.role == "feature"]
  optional = { for field in local.features : field.name => !try(field.constraints.required, false) }

  bounded    = try(var.contract.policy.out_of_range, "flag") == "reject"
  enumerated = try(var.contract.policy.unseen_category, "missing") == "reject"

  json_types = { integer = "integer", number = "number", boolean = "boolean", string = "string", date = "string", datetime = "string" }

  # Booleans may also come as the words that stand for them in a file.
  words = {
    for field in local.features : field.name => concat(
      [true, false],
      try(field.trueValues, ["true", "True", "TRUE", "1"]),
      try(field.falseValues, ["false", "False", "FALSE", "0"]),
    ) if field.type == "boolean"
  }
  allowed = merge(local.words, {
    for field in local.features : field.name => field.constraints.enum
    if local.enumerated && try(length(field.constraints.enum) > 0, false)
  })

  properties = {
    for field in local.features : field.name => merge(
      { for name, values in local.allowed : "enum" => concat(values, [for missing in ["missing"] : null if local.optional[name]]) if name == field.name },
      { for type in ["type"] : type => concat([local.json_types[field.type]], local.optional[field.name] ? ["null"] : []) if !contains(keys(local.allowed), field.name) },
      {
        for limit in ["minimum", "maximum"] : limit => field.constraints[limit]
        if local.bounded && contains(["integer", "number"], field.type) && can(field.constraints[limit] + 0)
      },
    )
  }

  request_schema = {
    "$schema"            = "http://json-schema.org/draft-04/schema#"
    title                = "Request"
    type                 = "object"
    required             = ["instances"]
    additionalProperties = false

    properties = {
      instances = {
        type     = "array"
        minItems = 1

        items = merge(
          {
            type                 = "object"
            properties           = local.properties
            additionalProperties = false # ids and targets have no business in a request
          },
          # Draft 4 knows no empty list here.
          { for key in ["required"] : key => [for field in local.features : field.name if !local.optional[field.name]] if !alltrue(values(local.optional)) },
        )
      }
    }
  }
}
