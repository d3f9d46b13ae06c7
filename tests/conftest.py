"""What holds for every test? Hypothesis repeats itself exactly and is never in a hurry.

The package's own pytest plugin is there, also in a checkout that no one has installed.
"""

import signal

from hypothesis import settings

from clicksend_reseller.sandbox import pytest_plugin
from support.heavy import IS_HEAVY
from support.postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]  # fixtures, shared by all folders

settings.register_profile("ci", max_examples=500, derandomize=True, deadline=None, database=None)
settings.register_profile("deep", settings.get_profile("ci"), max_examples=20_000)
settings.load_profile("deep" if IS_HEAVY else "ci")

pytest_plugins = ["support.browser"]


def pytest_configure(config):
    """Prepare what every test relies on."""
    _hear_signals()
    _load_plugin(config)


def _hear_signals():
    """Give signals back that a background job ignores: commands under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _load_plugin(config):
    """Load the plugin where no entry point did."""
    if not config.pluginmanager.has_plugin("clicksend_reseller"):
        config.pluginmanager.register(pytest_plugin, "clicksend_reseller")
