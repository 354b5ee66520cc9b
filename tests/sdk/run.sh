#!/bin/sh
# The SDK tests and the request examples: needs Node 20 or newer, npm, bash, curl, and the built binary (AGP_BIN, else
# target/debug/agp). Installs the pinned packages, runs everything, ends with node's summary; fails if a test fails.
set -eu
cd "$(dirname "$0")"
# An address relative to the caller's folder stays right here.
case "${AGP_BIN:-}" in
"" | /*) ;;
*) AGP_BIN="$OLDPWD/$AGP_BIN" && export AGP_BIN ;;
esac
npm ci --silent --no-audit --no-fund
exec node --test --test-reporter=spec ./*.test.mjs ../examples/*.test.mjs
