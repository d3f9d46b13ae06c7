"""How does the docs' page of the fault matrix come about? From the table that the tests hold.

python tests/fault_page.py      writes docs/reference/faults.md anew
"""

from pathlib import Path

from support.fault_table import TABLE, Row
from support.wire_faults import FAULTS, Do, Send, Stage, WireFault

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"

_INTRODUCTION = """\
<!-- search: fault matrix, faults, network errors, failure table -->

# The fault matrix

```python
from clicksend_reseller import OutcomeUnknownError
from clicksend_reseller.sandbox import Sandbox

sandbox = Sandbox()
sandbox.fail("cut", operation="transfer_credit")
async with sandbox.client() as client:
    try:
        await client.transfer_credit(1001, 12, "AUD")
    except OutcomeUnknownError as error:
        print(error.outcome, error.attempts)
```

```text
unknown 1
```

What a call ends with, for each fault of the wire that the tests know, on real sockets. A cell
names what the caller gets, what is known of the effect, and how often the request was sent with
two retries allowed. Faults whose name ends in `_applied` apply a write before they fail: the
caller gets the same error, because nobody can know.

The table is the one that the tests hold; this page is written from it.
"""

_PLACES = {
    Stage.LISTENER: "nobody accepts",
    Stage.CONNECTION: "accepts",
    Stage.HANDSHAKE: "shakes hands for TLS",
    Stage.REQUEST: "",
}

_WORDS = {
    Do.READ_HEAD: "reads the head",
    Do.READ_ALL: "reads all",
    Do.APPLY: "applies a write",
    Do.FIN: "closes",
    Do.RST: "resets",
    Do.STALL: "goes silent",
}


def render() -> str:
    """Write the page."""
    head = "| fault | the server | get | update | create | transfer |"
    rows = [_row(FAULTS[name], row) for name, row in TABLE.items()]
    return "\n".join([_INTRODUCTION, head, "| --- " * 6 + "|", *rows, ""])


def _row(fault: WireFault, row: Row) -> str:
    return f"| `{fault.name}` | {_in_words(fault)} | {' | '.join(map(_cell, row))} |"


def _in_words(fault: WireFault) -> str:
    steps = [_words_for(step) for step in fault.steps]
    if fault.certificate:
        steps = [f"shows its certificate: {fault.certificate.removesuffix('_context')}"]
    return ", ".join(filter(None, [_PLACES[fault.at], *steps]))


def _words_for(step: object) -> str:
    if isinstance(step, Do):
        return _WORDS[step]
    if not isinstance(step, Send):
        return ""
    return "sends without end" if step.forever else "drips" if step.chunk else "sends"


def _cell(cell: str) -> str:
    *words, outcome, sends = cell.split()
    what = f"`{words[0]}`" if words[0].endswith("Error") else " ".join(words)
    return f"{what} {outcome} ×{sends}"


if __name__ == "__main__":
    PAGE.write_text(render())
