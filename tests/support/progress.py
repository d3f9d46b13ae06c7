"""One line of dots for a whole run, a dot for each fiftieth: `pytest -p support.progress`.

Failures still show their letter at once. With pytest-xdist the controller counts for all workers.
"""

import pytest


class _Progress:
    def __init__(self):
        self._total = 0
        self._ended = 0

    def pytest_collection_finish(self, session):
        self._total = max(self._total, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids):
        self._total = max(self._total, len(ids))

    def pytest_report_teststatus(self, report):
        if report.when != "call" or not report.passed or hasattr(report, "wasxfail"):
            return None
        before, self._ended = self._ended, self._ended + 1
        return "passed", "." if self._dots(self._ended) > self._dots(before) else "", "PASSED"

    def _dots(self, ended):
        return ended * 50 // self._total if self._total else ended


def pytest_configure(config):
    """Count here, unless this is a worker, which prints nothing."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Progress())
