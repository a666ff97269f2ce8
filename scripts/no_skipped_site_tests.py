"""Fail when a test of the built site was skipped: in CI there is a site and there is a browser.

Reads the report that pytest writes with --junitxml; says nothing when all is well.
"""

import sys
from xml.etree import ElementTree


def skipped_site_tests(report):
    """Names of skipped tests under tests/site, or a note that there were none at all."""
    cases = [
        case
        for case in ElementTree.parse(report).iter("testcase")
        if "tests.site" in f"{case.get('classname')} {case.get('name')}"
    ]
    if not cases:
        return ["(no test of the site was found)"]
    return [
        f"{case.get('classname')}.{case.get('name')}: {case.find('skipped').get('message')}"
        for case in cases
        if case.find("skipped") is not None
    ]


if __name__ == "__main__":
    skipped = skipped_site_tests(sys.argv[1])
    if skipped:
        sys.exit("Tests of the site that did not run:\n  " + "\n  ".join(skipped))
