# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Name of the cluster's resources."
  type        = string
  default     = "pilot-registry"
}

variable "domain" {
  description = "Private zone of the members' names."
  type        = string
  default     = "registry.internal"
}

variable "vpc_id" {
  description = "Network of the machines."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the members, one each, best in different availability zones: three, or five."
  type        = list(string)

  validation {
    condition     = contains([1, 3, 5], length(var.subnet_ids))
    error_message = "A cluster has one, three or five members here."
  }
}

variable "client_cidrs" {
  description = "Who may be a client."
  type        = list(string)
  default     = ["10.0.0.0/8"]
}

variable "instance_type" {
  description = "Type of the machines; docs/deployment.md has a table of sizes."
  type        = string
  default     = "m7i.large"
}

variable "disk_gib" {
  description = "Size of the disk of a member's state, in GiB."
  type        = number
  default     = 20
}

variable "package_url" {
  description = "Where the machines get the Debian package of a release."
  type        = string
}

variable "create_cluster" {
  description = "Whether the first member may create the cluster. Set it to false once the cluster exists."
  type        = bool
  default     = true
}
