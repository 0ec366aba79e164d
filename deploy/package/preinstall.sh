#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -e
getent group pilot-registry >/dev/null || groupadd --system pilot-registry
getent passwd pilot-registry >/dev/null ||
  useradd --system --gid pilot-registry --home-dir /var/lib/pilot-registry --no-create-home --shell /usr/sbin/nologin pilot-registry
