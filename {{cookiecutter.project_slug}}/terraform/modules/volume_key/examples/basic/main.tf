module "volume_key" {
  source = "../.."

  instance_types = ["ml.m5.large"]
  kms_key_arn    = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
}
