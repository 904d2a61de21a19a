#!/bin/sh
# Say loudly when the tests with MariaDB cannot run on this machine; fail instead when REQUIRE_MARIADB=1.
set -eu

PATH=$PATH:/usr/sbin:/usr/libexec:/usr/local/sbin:/usr/local/libexec
for name in mariadbd mysqld; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
cat >&2 <<'TEXT'
################################################################################
#  NO MARIADB ON THIS MACHINE: the tests of landing in it are SKIPPED.         #
#  To run them: apt-get install mariadb-server                                 #
################################################################################
TEXT
if [ "${REQUIRE_MARIADB:-}" = 1 ]; then exit 1; fi
