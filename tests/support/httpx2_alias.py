"""Under `pytest -p httpx2_alias`: every `import httpx` means httpx2, before anything loads it."""

import httpx2

httpx2.alias_httpx()
