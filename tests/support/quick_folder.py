"""A folder in memory for what copies much or waits for its disk: databases that a test may lose.

What a killed process has written is there too; a power cut is not what these tests are about.
"""

import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - what stands there is made by `tempfile`, so it is private
_ENOUGH = 2**30  # bytes; a container's usual 64 MB are too few


def in_memory() -> Path | None:
    """Give a folder for `tempfile` to make its own in; None, its usual one, where there is none."""
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return None
    return _MEMORY if shutil.disk_usage(_MEMORY).free > _ENOUGH else None
