# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs unittest's test cases and speaks TAP, so that each case counts as a test. What was skipped did not pass, but for what cannot be."""

import sys
import unittest


IMPOSSIBLE = "impossible: "


def skip_impossible(reason):
    """For a test that no machine could run as it was started, whatever is installed on it: TAP's own word for it is SKIP."""
    return unittest.skip(IMPOSSIBLE + reason)


class Tap(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0

    def point(self, good, test, details="", directive=""):
        self.number += 1
        print(f"{'ok' if good else 'not ok'} {self.number} - {test.id().removeprefix('__main__.')}{directive}")
        for line in details.splitlines():
            print("# " + line)
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.point(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.point(False, test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.point(False, test, self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if reason.startswith(IMPOSSIBLE):
            return self.point(True, test, directive=" # SKIP " + reason.removeprefix(IMPOSSIBLE))
        self.point(False, test, "skipped: " + reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.point(False, subtest, self._exc_info_to_string(err, test))


def main(names):
    """Runs the test cases of the main program; `names` (Class or Class.test) are those wanted, if not all."""
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(names, sys.modules["__main__"]) if names else \
        loader.loadTestsFromModule(sys.modules["__main__"])
    result = Tap()
    suite.run(result)
    print(f"1..{result.number}")
    sys.exit(0 if result.number and result.wasSuccessful() else 1)
