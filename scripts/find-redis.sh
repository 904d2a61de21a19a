#!/bin/sh
# Say loudly when the tests of a distributed Airflow cannot run on this machine; fail instead when REQUIRE_REDIS=1.
set -eu

for name in redis-server valkey-server; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
cat >&2 <<'TEXT'
################################################################################
#  NO REDIS ON THIS MACHINE: the tests on several worker hosts are SKIPPED.    #
#  To run them: apt-get install redis-server                                   #
################################################################################
TEXT
if [ "${REQUIRE_REDIS:-}" = 1 ]; then exit 1; fi
