"""The description on a package index: the README, with absolute links once its address is set."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/someone/clicksend-reseller"
TARGETS = re.compile(r"\]\(([^)\s]+)\)")


def settings():
    """Read the project's own."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def replacement_in(project):
    """Give the one setting: what the last substitution writes."""
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    return hook["substitutions"][-1]["replacement"]


def description(folder):
    """Build it as the package's build does."""
    command = [sys.executable, "-m", "hatch_fancy_pypi_readme"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout


@pytest.fixture
def filled_in(tmp_path):
    """Copy the project, with the setting filled in as its comment says."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert text.count("replacement = ''") == 1
    filled = text.replace("replacement = ''", f"replacement = '{ADDRESS}/\\1/HEAD/'")
    (tmp_path / "pyproject.toml").write_text(filled, "utf-8")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_no_link_or_picture_is_relative_once_the_address_is_set(filled_in):
    """A picture leads to the file itself, a link to its page, and each file is in the checkout."""
    text = description(filled_in)
    targets = TARGETS.findall(text)
    assert len(targets) == len(TARGETS.findall((ROOT / "README.md").read_text("utf-8")))
    assert [] == [target for target in targets if not target.startswith("https://")]
    for target in targets:
        kind, _, path = target.removeprefix(f"{ADDRESS}/").partition("/HEAD/")
        assert (ROOT / path.partition("#")[0]).exists()
        assert kind == ("raw" if path.endswith((".png", ".svg")) else "blob")


def test_the_address_is_set_in_both_places_or_in_none():
    """`[project.urls]` and the description name the same one."""
    project = settings()
    source = project["project"].get("urls", {}).get("Source", "")
    written = replacement_in(project)
    assert written.startswith(source)
    assert bool(source) == bool(written)


def test_the_description_is_the_readme_until_then():
    """Without an address the build changes nothing."""
    if replacement_in(settings()):
        return
    assert description(ROOT).strip() == (ROOT / "README.md").read_text("utf-8").strip()
