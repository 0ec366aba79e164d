#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes the shell completions of both programs into a directory:
# completions.sh DIRECTORY [DIRECTORY-OF-THE-PROGRAMS]
set -euo pipefail
out=$(realpath -m "${1:?completions.sh wants a directory}")
bin=$(realpath -m "${2:-bin}")
cd "$(dirname "$0")/../.."
mkdir -p "$out"
for program in pilot-registry pilotctl; do
  [ -x "$bin/$program" ] || "${GO:-go}" build -trimpath -o "$bin/" "./cmd/$program"
  for shell in bash zsh fish; do
    "$bin/$program" completion "$shell" >"$out/$program.$shell"
  done
done
