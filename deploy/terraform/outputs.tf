# SPDX-License-Identifier: Apache-2.0

output "addresses" {
  description = "Client addresses of the members."
  value       = local.from
}

output "tls_ca" {
  description = "Authority by which clients verify the members."
  value       = tls_self_signed_cert.ca.cert_pem
}
