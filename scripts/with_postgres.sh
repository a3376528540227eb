#!/bin/sh
# Runs a command with a throw-away PostgreSQL: $TEST_POSTGRES_URL if set, else Debian's pg_virtualenv (installed when missing).
set -eu
if [ -n "${TEST_POSTGRES_URL:-}" ]; then exec "$@"; fi
need=""
command -v pg_virtualenv >/dev/null 2>&1 || need="postgresql postgresql-common"
command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ] || need="$need pgbouncer"
if [ -n "$need" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    # The package's own cluster is not wanted; policy-rc.d is left as it is, the tests start their own server.
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $need >/dev/null
  elif ! command -v pg_virtualenv >/dev/null 2>&1; then
    echo "The tests need a PostgreSQL: set TEST_POSTGRES_URL=postgresql://..., or install Debian's postgresql and postgresql-common." >&2
    exit 1
  fi
fi
# Nothing in it has to outlive the tests; over loopback there is nobody to hide from, and TLS costs each connection its while.
exec pg_virtualenv -t -o ssl=off -o synchronous_commit=off -o full_page_writes=off -o jit=off -o max_connections=300 "$@"
