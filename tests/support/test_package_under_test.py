import re
import shutil
from pathlib import Path

import pytest

from support.package_under_test import GATE, fault_of_package

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "clicksend_reseller"


@pytest.fixture
def wheel(tmp_path):
    """Install the package, as it stands in the tree."""
    installed = tmp_path / "site-packages" / "clicksend_reseller"
    shutil.copytree(TREE, installed)
    return installed


def test_an_installed_package_is_tested_if_each_byte_is_the_tree_s(wheel):
    """What compiling leaves behind is none of it."""
    (wheel / "__pycache__").mkdir(exist_ok=True)
    (wheel / "__pycache__" / "client.cpython-399.pyc").write_bytes(b"x")
    for is_gate in (True, False):
        assert not fault_of_package(wheel, TREE, is_gate=is_gate)


@pytest.mark.parametrize("is_gate", [True, False])
def test_an_older_wheel_is_refused(wheel, is_gate):
    """One byte, a file too many and one too few are named."""
    (wheel / "client.py").write_bytes((wheel / "client.py").read_bytes() + b"\n")
    (wheel / "gone.py").write_bytes(b"")
    (wheel / "py.typed").unlink()
    said = fault_of_package(wheel, TREE, is_gate=is_gate)
    assert "client.py, gone.py, py.typed; install it again" in said


def test_the_tree_itself_is_for_work_and_not_for_the_gate():
    """An editable installation imports it, and so does a shell that stands in the checkout."""
    assert not fault_of_package(TREE, TREE, is_gate=False)
    assert "is the tree" in fault_of_package(TREE, TREE, is_gate=True)


def test_nox_means_the_wheel():
    """The variable comes with what keeps the tree from being imported."""
    text = (ROOT / "noxfile.py").read_text("utf-8")
    (given,) = re.findall(r"^WHEEL_ONLY = \{(.*?)\}$", text, re.MULTILINE | re.DOTALL)
    assert f'"{GATE}": "1"' in given
    assert '"PYTHONSAFEPATH": "1"' in given
