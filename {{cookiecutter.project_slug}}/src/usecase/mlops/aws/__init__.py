"""The AWS side: platform facts, data, pipeline and registry, by boto3. No job imports anything from here."""
