#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs random schedules of elections, floods beside a client that behaves, then the examples of the product page, the
# search for secrets, the longer upgrades and the console in a browser, end to end, with the programs of the system that they need. What is missing is
# installed if that is possible here, otherwise named: its test is then skipped.
set -eu
cd "$(dirname "$0")/.."

have_rsyslog() {
  { command -v rsyslogd >/dev/null || [ -x /usr/sbin/rsyslogd ]; } && ls /usr/lib/*/rsyslog/lmnsd_ossl.so >/dev/null 2>&1
}

install_rsyslog() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  echo "== installing rsyslog"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install -y --no-install-recommends rsyslog rsyslog-openssl; } >/dev/null 2>&1
  have_rsyslog
}

have_chromium() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }

install_chromium() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  echo "== installing chromium"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1
  have_chromium
}

have_chromium || install_chromium ||
  echo "== missing: Chromium. As root on Debian: apt-get install chromium. The console is not tested in a browser now."

have_promtool() { command -v promtool >/dev/null; }

install_promtool() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  echo "== installing prometheus"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y --no-install-recommends prometheus >/dev/null 2>&1
  have_promtool
}

have_promtool || install_promtool ||
  echo "== missing: promtool. As root on Debian: apt-get install prometheus. The tests of the alerts are not run now."

# axe-core checks pages for what they deny to people who do not see them as they are drawn.
if [ -z "${PILOT_AXE:-}" ]; then
  PILOT_AXE=$(mktemp -d)/package/axe.min.js
  export PILOT_AXE
  (cd "$(dirname "$(dirname "$PILOT_AXE")")" && npm pack --silent axe-core@4.14.1 >/dev/null && tar xzf axe-core-*.tgz package/axe.min.js) 2>/dev/null ||
    echo "== missing: axe-core from npm. Pages are not checked with it now."
fi

have_rsyslog || install_rsyslog ||
  echo "== missing: rsyslogd with TLS. As root on Debian: apt-get install rsyslog rsyslog-openssl. What is missing is not tested against it now."

echo "== 10,000 random schedules of elections against one raft instance"
SCHEDULES=10000 "${GO:-go}" test -count=1 -timeout 8m -run '^TestEntriesBelongToTheirLeader$' -v ./cluster/base/termguard

echo "== what deploy holds, with the tools it is made for"
if (cd deploy/check && GOWORK=off "${GO:-go}" mod download) 2>/dev/null; then
  (cd deploy/check && GOWORK=off "${GO:-go}" test -count=1 -timeout 15m -v .)
else
  echo "== missing: the modules of deploy/check cannot be downloaded. What deploy holds is not checked now."
fi

echo "== floods of everything that is shared, for a minute, beside a client that behaves"
PILOT_E2E=1 "${GO:-go}" test -count=1 -timeout 8m -v ./integration/hostile

PILOT_E2E=1 exec "${GO:-go}" test -count=1 -timeout 15m -v \
  -run '^(TestExample|TestPageExamples|TestNoSecretLeaves|TestVault|TestRollInEveryLeaderPosition|TestNewMemberOf|TestOldVersionIn|TestReleaseBinaries|TestPilotctlOfTwoVersions|TestConsole|TestPrometheus|TestTenThousand)' ./integration
