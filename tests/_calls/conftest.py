import pytest

from clicksend_reseller.sandbox import Sandbox


@pytest.fixture
def sandbox():
    """Count what arrives."""
    return Sandbox()
