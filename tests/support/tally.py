#!/usr/bin/env python3
"""Adds up CTest's JUnit reports and ends with one line: N passed, N failed.

A Criterion binary is one CTest entry with many tests in it: its own summary line is counted. Anything else counts as
one test. An entry that fails counts at least one failure, whatever it printed. No test at all is a failure too.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

SUMMARY = re.compile(r"Tested: *(\d+) *\| *Passing: *(\d+)")


def count(case):
    """(passed, failed, skipped) of one CTest entry."""
    status = case.get("status")
    # CTest calls a program that is not there skipped as well.
    skipped = case.find("skipped")
    if status == "disabled" or skipped is not None and "SKIP_" in skipped.get("message", ""):
        return 0, 0, 1
    summaries = SUMMARY.findall(case.findtext("system-out") or "")
    passed, failed = 0, 0
    for tested, passing in summaries:
        passed += int(passing)
        failed += int(tested) - int(passing)
    if status != "run":
        return passed, max(failed, 1), 0
    return (passed, failed, 0) if summaries else (1, 0, 0)


def main(reports):
    passed, failed, skipped = 0, 0, 0
    print()
    for report in reports:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
        for case in cases:
            p, f, s = count(case)
            passed, failed, skipped = passed + p, failed + f, skipped + s
            if f:
                print(f"failed: {case.get('name')} ({report})")
            if s:
                print(f"skipped: {case.get('name')} ({report})")
    if passed + failed == 0:
        print("no test ran")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
