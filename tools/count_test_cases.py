#!/usr/bin/env python3
"""Prints "N passed, N failed": the test cases of a "bazel test" run.

usage: bazel query --output=label_kind 'tests(...)' | count_test_cases.py EVENTS.json STATUS

EVENTS.json is what --build_event_json_file wrote, STATUS the exit status of the run. Every cc_test
here is a Catch2 test that ends with a line of its counts (tests/main.cc). A test that was not built,
was not run, or did not live to print that line counts as one failed case; a test of another kind is
one case. Exits with 1 if anything failed.
"""

import json
import re
import sys
import urllib.parse

SUMMARY = re.compile(r"^test cases: (\d+) passed, (\d+) failed$", re.MULTILINE)


def test_results(path):
    """label -> (passed, text of its log), of the last attempt at each test that ran."""
    results = {}
    try:
        events = open(path, encoding="utf-8")
    except FileNotFoundError:
        return results
    with events:
        for line in events:
            event = json.loads(line)
            if "testResult" not in event:
                continue
            result = event["testResult"]
            log = ""
            for output in result.get("testActionOutput", []):
                if output["name"] == "test.log":
                    with open(urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path),
                              encoding="utf-8", errors="replace") as file:
                        log = file.read()
            results[event["id"]["testResult"]["label"]] = (result["status"] == "PASSED", log)
    return results


def count(kind, passed, log):
    """(passed, failed) cases of one test."""
    if kind != "cc_test":
        return (1, 0) if passed else (0, 1)
    summary = SUMMARY.findall(log)
    if not summary:
        return 0, 1
    good, bad = map(int, summary[-1])
    # It can fail after its last case too: a leak that the sanitizer sees at exit.
    return good, bad if passed else max(bad, 1)


def main():
    results = test_results(sys.argv[1])
    status = int(sys.argv[2])
    passed = failed = 0
    for line in sys.stdin:
        if not line.strip():
            continue
        kind, _, label = line.split()
        good, bad = count(kind, *results.get(label, (False, "")))
        passed += good
        failed += bad
    # The run failed, yet no test did: something that no test depends on was not built.
    if status != 0 and failed == 0:
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
