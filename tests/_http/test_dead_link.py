"""What the kernel still holds when nobody waits for it any more, on a link that dies."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STORY = Path(__file__).with_name("dead_link.py")


@functools.cache
def namespace() -> tuple[str, ...]:
    """Give the command that runs another one in a network namespace of its own, or nothing."""
    for command in (("unshare", "-n"), ("unshare", "-r", "-n")):
        if shutil.which("unshare"):
            done = subprocess.run((*command, "true"), capture_output=True, check=False)
            if done.returncode == 0:
                return command
    return ()


@pytest.mark.skipif(not namespace(), reason="this machine forbids network namespaces (unshare -n)")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("ending", ["gives_up", "is_killed"])
def test_a_transfer_is_not_delivered_after_its_client_has_given_up(scheme, ending):
    """The kernel forgets it, where it would send it when the link comes back."""
    env = {**os.environ, "PYTHONPATH": str(STORY.parents[1])}
    command = (*namespace(), sys.executable, str(STORY), scheme, ending)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ("0\n", 0) == (done.stdout, done.returncode), done.stderr
