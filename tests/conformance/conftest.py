"""When are these tests collected? Under `nox -s conformance`, which brings what they need.

They take an environment that has the official SDK, and schemathesis; the session `tests` has
neither.
"""

import os

OFFICIAL = os.environ.get("CLICKSEND_RESELLER_OFFICIAL")

collect_ignore_glob = [] if OFFICIAL else ["test_*.py"]
