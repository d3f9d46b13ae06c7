"""The start without the script: ``python -m clicksend_reseller.cli``."""

from __future__ import annotations

from clicksend_reseller.cli import main

if __name__ == "__main__":
    main()
