#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Removing the package stops the member; an upgrade does not.
set -e
case "${1:-}" in
remove | 0)
  if [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now pilot-registry.service || true
  fi
  ;;
esac
