"""Where is a program that a test needs, and may the test do without it?

A test whose program is missing is skipped and counted in pytest's summary. Where
`CLICKSEND_RESELLER_CI` is set it fails instead: there, every program has been installed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def program(*names):
    """Find the first of these programs that is on the path, or end the test."""
    found = filter(None, map(shutil.which, names))
    return next(found, None) or missing(" or ".join(names))


def postgres_programs():
    """Find the folder of PostgreSQL's server programs, which Debian keeps off the path."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if shutil.which("pg_config"):
        command = ["pg_config", "--bindir"]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        candidates.append(Path(said.stdout.strip()))
    for folder in candidates:
        if (folder / "initdb").exists():
            return folder
    return missing("PostgreSQL's initdb")


def missing(name):
    """End a test whose program is not there."""
    if os.environ.get("CLICKSEND_RESELLER_CI"):
        pytest.fail(f"{name} is missing, and on CI no test goes without")
    pytest.skip(f"{name} is not on this machine")
