#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Purging removes the user. The state of a member is never deleted by a package:
# it may be the only copy.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ "${1:-}" = purge ]; then
  if getent passwd pilot-registry >/dev/null; then userdel pilot-registry || true; fi
  if [ -d /var/lib/pilot-registry ]; then
    rmdir /var/lib/pilot-registry 2>/dev/null || echo "pilot-registry: /var/lib/pilot-registry holds a member's state and was kept"
  fi
fi
