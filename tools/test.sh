#!/usr/bin/env bash
# Installs what the tests need, builds everything, runs every test, and ends with the line
# "N passed, N failed" of test cases. Further arguments go to Bazel.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/common.sh

tools/install_build_packages.sh
tools/install_test_packages.sh

work=$(mktemp -d -t simaqat-test.XXXXXX)

status=0
quietly "$work/bazel.log" bazel test --keep_going \
  --build_event_json_file="$work/events.json" "$@" //... || status=$?

# What should have run: the events above tell only of what did. Errors are in the log already.
# shellcheck disable=SC2016  # the query's own variable
targets=$(bazel query --keep_going --output=label_kind \
  'let all = tests(//...) in $all except attr(tags, "\bmanual\b", $all)' \
  2>/dev/null) || status=1

if ! /usr/bin/python3 tools/count_test_cases.py "$work/events.json" "$status" <<<"$targets"; then
  exit 1
fi
rm -r "$work"
