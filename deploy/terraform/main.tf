# SPDX-License-Identifier: Apache-2.0

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws    = { source = "hashicorp/aws", version = "~> 5.0" }
    random = { source = "hashicorp/random", version = "~> 3.6" }
    tls    = { source = "hashicorp/tls", version = "~> 4.0" }
  }
}

locals {
  members = { for i, subnet in var.subnet_ids : "m${i + 1}" => subnet }
  names   = { for name in keys(local.members) : name => "${name}.${var.domain}" }
  from    = join(",", [for name in values(local.names) : "${name}:9000"])
}

data "aws_subnet" "member" {
  for_each = local.members
  id       = each.value
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/debian/release/12/latest/amd64"
}

resource "random_password" "admin" {
  length  = 48
  special = false
}

resource "aws_ssm_parameter" "admin" {
  name  = "/${var.name}/admin-token"
  type  = "SecureString"
  value = random_password.admin.result
}

# The certificate that clients verify, and members of each other while they join.
resource "tls_private_key" "ca" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_self_signed_cert" "ca" {
  private_key_pem       = tls_private_key.ca.private_key_pem
  is_ca_certificate     = true
  validity_period_hours = 87600
  allowed_uses          = ["cert_signing"]
  subject {
    common_name = "${var.name} authority"
  }
}

resource "tls_private_key" "wire" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_cert_request" "wire" {
  private_key_pem = tls_private_key.wire.private_key_pem
  dns_names       = concat(values(local.names), ["localhost"])
  subject {
    common_name = var.name
  }
}

resource "tls_locally_signed_cert" "wire" {
  cert_request_pem      = tls_cert_request.wire.cert_request_pem
  ca_private_key_pem    = tls_private_key.ca.private_key_pem
  ca_cert_pem           = tls_self_signed_cert.ca.cert_pem
  validity_period_hours = 87600
  allowed_uses          = ["digital_signature", "server_auth"]
}

resource "aws_security_group" "member" {
  name   = var.name
  vpc_id = var.vpc_id

  ingress {
    description = "clients"
    from_port   = 9000
    to_port     = 9000
    protocol    = "tcp"
    cidr_blocks = var.client_cidrs
  }

  ingress {
    description = "members of each other"
    from_port   = 9000
    to_port     = 9100
    protocol    = "tcp"
    self        = true
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

# A name and an address that stay when a machine is replaced.
resource "aws_route53_zone" "members" {
  name = var.domain
  vpc {
    vpc_id = var.vpc_id
  }
}

resource "aws_network_interface" "member" {
  for_each        = local.members
  subnet_id       = each.value
  security_groups = [aws_security_group.member.id]
}

resource "aws_route53_record" "member" {
  for_each = local.members
  zone_id  = aws_route53_zone.members.zone_id
  name     = local.names[each.key]
  type     = "A"
  ttl      = 60
  records  = [aws_network_interface.member[each.key].private_ip]
}

# The state of a member outlives its machine.
resource "aws_ebs_volume" "state" {
  for_each          = local.members
  availability_zone = data.aws_subnet.member[each.key].availability_zone
  size              = var.disk_gib
  type              = "gp3"
  encrypted         = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_volume_attachment" "state" {
  for_each    = local.members
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.state[each.key].id
  instance_id = aws_instance.member[each.key].id
}

resource "aws_instance" "member" {
  for_each      = local.members
  ami           = data.aws_ssm_parameter.image.value
  instance_type = var.instance_type

  network_interface {
    device_index         = 0
    network_interface_id = aws_network_interface.member[each.key].id
  }

  metadata_options {
    http_tokens = "required"
  }

  user_data = templatefile("${path.module}/cloud-init.yaml", {
    package_url = var.package_url
    name        = local.names[each.key]
    # The first member creates the cluster while var.create_cluster says so.
    first = var.create_cluster ? "--first ${local.names["m1"]}:9100" : ""
    from  = local.from
    admin = random_password.admin.result
    ca    = tls_self_signed_cert.ca.cert_pem
    cert  = tls_locally_signed_cert.wire.cert_pem
    key   = tls_private_key.wire.private_key_pem
  })

  lifecycle {
    ignore_changes = [ami, user_data]
  }

  tags = {
    Name = "${var.name}-${each.key}"
  }
}
