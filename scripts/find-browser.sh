#!/bin/sh
# Say loudly when the browser test cannot run on this machine; fail instead when REQUIRE_BROWSER=1.
set -eu

find_first() {
    for name in "$@"; do
        if command -v "$name" >/dev/null 2>&1; then return 0; fi
    done
    return 1
}

if find_first chromium chromium-browser google-chrome && find_first chromedriver; then
    exit 0
fi
cat >&2 <<'TEXT'
################################################################################
#  NO CHROMIUM ON THIS MACHINE: the test of the connection form is SKIPPED.    #
#  To run it: apt-get install chromium chromium-driver                         #
################################################################################
TEXT
if [ "${REQUIRE_BROWSER:-}" = 1 ]; then exit 1; fi
