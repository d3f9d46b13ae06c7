"""How many rounds does a heavy check run? Few in every run, all under `nox -s heavy`."""

import os

IS_HEAVY = os.environ.get("CLICKSEND_RESELLER_HEAVY") == "1"


def rounds(few: int, full: int) -> int:
    """Give the number of rounds for this run."""
    return full if IS_HEAVY else few
