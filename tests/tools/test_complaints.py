#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/complaints.md and the tests' names say the same: each row has its tests, and each test so named has its row."""

import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))

import tap

ROOT = TESTS.parent
ROW = re.compile(r"^\| `([a-z-]+#\d+)` \|.*\| ([^|]*) \|$", re.MULTILINE)
TITLE = re.compile(r'"([a-z-]+#\d+): ')


def rows():
    """Pairs of complaint and file, as the page has them."""
    page = (ROOT / "docs/complaints.md").read_text()
    return {(complaint, file) for complaint, files in ROW.findall(page) for file in re.findall(r"`([^`]+)`", files)}


def titles():
    """The same, as the tests are named."""
    files = [*TESTS.glob("scenario/*.py"), *TESTS.glob("unit/*/test_*.c")]
    return {(complaint, str(file.relative_to(ROOT))) for file in files for complaint in TITLE.findall(file.read_text())}


def each_row_has_its_tests():
    tap.expect(len(rows()) > 20, True)
    tap.expect(sorted(rows() - titles()), [])


def each_test_has_its_row():
    tap.expect(sorted(titles() - rows()), [])


CASES = [
    ("each row of docs/complaints.md has its tests", each_row_has_its_tests),
    ("each test that is named after a complaint has its row", each_test_has_its_row),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
