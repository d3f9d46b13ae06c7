"""What holds for every test? Hypothesis repeats itself exactly and is never in a hurry.

The package's own pytest plugin is there, also in a checkout that no one has installed.
"""

from hypothesis import settings

from clicksend_reseller.sandbox import pytest_plugin
from heavy import IS_HEAVY
from postgres import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]  # fixtures, shared by all folders

settings.register_profile("ci", max_examples=500, derandomize=True, deadline=None, database=None)
settings.register_profile("deep", settings.get_profile("ci"), max_examples=20_000)
settings.load_profile("deep" if IS_HEAVY else "ci")

pytest_plugins = ["browser"]


def pytest_configure(config):
    """Load the plugin where no entry point did."""
    if not config.pluginmanager.has_plugin("clicksend_reseller"):
        config.pluginmanager.register(pytest_plugin, "clicksend_reseller")
