#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds pilot-registry and pilotctl of one version into dist/VERSION/, from
# any clone with its history: the version's tag, or the last commit whose
# protocol/version.go says the version. PLATFORMS="linux/amd64 linux/arm64"
# builds for these, into a folder each; without it, for this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-}
if ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
  echo "release-binaries: want a version like 0.1.0: make release-binaries VERSION=0.1.0" >&2
  exit 2
fi
go=${GO:-go}
says="^const Version = \"$version\"\$"

# The newest commit that touched the line and left it saying the version is
# where the version began; its last commit comes before the next such change.
find_commit() {
  git rev-parse -q --verify "refs/tags/v$version^{commit}" && return
  local newer=""
  for commit in $(git log --format=%H -- protocol/version.go); do
    if git show "$commit:protocol/version.go" 2>/dev/null | grep -q "$says"; then
      if [ -n "$newer" ]; then git rev-parse "$newer^"; else git rev-parse HEAD; fi
      return
    fi
    newer=$commit
  done
  return 1
}
if ! commit=$(find_commit); then
  echo "release-binaries: no commit of version $version in this clone; fetch the whole history (git fetch --unshallow --tags)" >&2
  exit 1
fi

tmp=$(mktemp -d)
trap 'git worktree remove --force "$tmp/source" >/dev/null 2>&1 || true; rm -rf "$tmp"' EXIT
git worktree add --quiet --detach "$tmp/source" "$commit"
out=$PWD/dist/$version
rm -rf "$out" && mkdir -p "$out"
for platform in ${PLATFORMS:-$("$go" env GOOS)/$("$go" env GOARCH)}; do
  to=$out
  [ -z "${PLATFORMS:-}" ] || to=$out/${platform/\//-}
  (cd "$tmp/source" && CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} "$go" build -trimpath -o "$to/" ./cmd/...)
done
(cd "$out" && find . -type f ! -name SHA256SUMS | sort | xargs sha256sum >SHA256SUMS)
echo "version $version (commit $commit) is in $out"
