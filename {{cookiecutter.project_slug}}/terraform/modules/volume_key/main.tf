# Families with disks inside the instance: their hardware encrypts those by itself, and SageMaker takes no key for them
# (CreateEndpointConfig, CreateTransformJob: KmsKeyId and VolumeKmsKeyId). By name: a `d` behind the generation (m5d, m6gd,
# r7gd, g4dn, p4d), and the accelerated families from g5, p5, trn1 and dl1 on.
locals {
  with_disks = "^ml\\.([a-z]+[0-9]+[a-z]*d[a-z]*|g[5-9][a-z]*|p[5-9][a-z0-9-]*|trn[0-9]+[a-z]*|dl[0-9]+[a-z]*)\\."
  takes_none = anytrue([for type in var.instance_types : can(regex(local.with_disks, type))])
}
