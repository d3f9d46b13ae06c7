"""The pictures of the docs; `python docs/pictures.py` draws them from the code's own tables.

A test draws them again and compares, so that none of them falls behind. They need the standard
library and this package, follow the reader's light or dark scheme, and have a title and a
description for those who do not see them.
"""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

from clicksend_reseller import (
    AccountFields,
    APIConnectionError,
    APIResponseError,
    BadRequestError,
    ClientStateError,
    Outcome,
    RateLimitError,
    ResellerError,
    RetryPolicy,
    ServerError,
    TransferState,
)
from clicksend_reseller._calls.retry import may_repeat
from clicksend_reseller._wire import operations
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller.journal import EDGES
from clicksend_reseller.journal.states import FINAL as SETTLED

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "pictures"
WIDTH = 860

STYLE = """
 text { font: 14px system-ui, sans-serif; fill: #1f2328 }
 .head { font-weight: 600; font-size: 15px }
 .quiet { fill: #59636e; font-size: 12px }
 .mono { font: 12px ui-monospace, monospace }
 .page { fill: #ffffff } .box { fill: #f6f8fa; stroke: #d0d7de }
 .mark { fill: #1f7a8c } .on-mark { fill: #ffffff; font-size: 12px; font-weight: 600 }
 .good { fill: #1f7a8c; font-weight: 600 } .bad { fill: #b42318; font-weight: 600 }
 .cell { font-size: 12px }
 .line { stroke: #59636e; stroke-width: 1.5; fill: none }
 .sent { stroke: #1f7a8c; stroke-width: 2; fill: none }
 .lost { stroke: #b42318; stroke-width: 2; stroke-dasharray: 5 4; fill: none }
 .tip { fill: #1f7a8c } .settled { stroke: #1f7a8c; stroke-width: 2 }
 @media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 }
  .page { fill: #0d1117 } .box { fill: #161b22; stroke: #3d444d }
  .mark { fill: #3aa6b9 } .on-mark { fill: #0d1117 }
  .good { fill: #56c2d6 } .bad { fill: #ff8f73 }
  .line { stroke: #9198a1 } .sent { stroke: #3aa6b9 } .lost { stroke: #ff8f73 }
  .tip { fill: #3aa6b9 } .settled { stroke: #3aa6b9 }
 }
"""

# What the session `conformance` counts in the sandbox's request log for one lost transfer.
OFFICIAL_SENDS = 4


def svg(height: int, title: str, description: str, parts: Iterable[str]) -> str:
    """Put a picture together."""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" \
width="{WIDTH}" role="img" aria-labelledby="title desc">
<title id="title">{escape(title)}</title>
<desc id="desc">{escape(description)}</desc>
<style>{STYLE}</style>
<rect class="page" width="100%" height="100%" rx="8"/>
{"".join(parts)}</svg>
"""


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Write a line."""
    look = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{look}>{escape(words)}</text>\n'


# --- 1: an answer that is lost


def lost_answer() -> str:
    """Show what two clients do when the answer to a transfer of 12 is lost."""
    title = "The answer to a transfer of 12 is lost"
    official = _lane(
        90, "the official client", [100 + 185 * n for n in range(OFFICIAL_SENDS)], "sends again"
    )
    ours = _lane(250, "clicksend-reseller", [100], "")
    moved = 12 * OFFICIAL_SENDS
    verdicts = (
        text(WIDTH - 24, 90, f"{moved} moved, and an exception", "bad", "end"),
        text(WIDTH - 24, 250, "12 moved, sent once", "good", "end"),
        text(300, 296, "OutcomeUnknownError", "mono"),
        text(300, 316, "it may have been applied: look before you send again", "quiet"),
    )
    return svg(
        372,
        title,
        f"Two timelines. The official client sends the transfer {OFFICIAL_SENDS} times, each is "
        f"applied, and {moved} are moved. This package sends it once, 12 are moved, and the "
        "error says that the outcome is unknown.",
        [text(24, 34, title, "head"), official, ours, *verdicts],
    )


def _lane(y: int, who: str, sends: list[int], again: str) -> str:
    parts = [
        text(24, y, who, "head"),
        text(24, y + 30, "caller", "quiet"),
        text(24, y + 90, "API", "quiet"),
        f'<path class="line" d="M80 {y + 26}H{WIDTH - 24}M80 {y + 86}H{WIDTH - 24}"/>\n',
    ]
    for number, x in enumerate(sends):
        parts += [
            f'<path class="sent" d="M{x} {y + 26}L{x + 46} {y + 80}"/>\n',
            f'<path class="tip" d="M{x + 50} {y + 85}l-9 -4l7 -6z"/>\n',
            f'<path class="lost" d="M{x + 60} {y + 86}L{x + 84} {y + 58}"/>\n',
            text(x + 84, y + 56, "✕", "bad"),
            text(x + 50, y + 106, "+12 applied", "quiet"),
        ]
        if again and number:
            parts.append(text(x + 6, y + 20, again, "quiet"))
    return "".join(parts)


# --- 2: the states of a transfer in a journal

_PLACES = {
    TransferState.INTENDED: (110, 200),
    TransferState.SENT: (390, 200),
    TransferState.CONFIRMED: (740, 90),
    TransferState.REJECTED: (740, 200),
    TransferState.UNKNOWN: (390, 350),
    TransferState.REFUTED: (740, 350),
}
# How far a line leaves the straight way, where another state stands in it.
_BENDS = {
    (TransferState.REJECTED, TransferState.INTENDED): -220,
    (TransferState.REFUTED, TransferState.INTENDED): 250,
}
# Where on its line a label stands, if not in the middle.
_LABELS = {
    (TransferState.INTENDED, TransferState.REFUTED): 0.25,
    (TransferState.UNKNOWN, TransferState.CONFIRMED): 0.3,
    (TransferState.SENT, TransferState.REFUTED): 0.6,
}


# Nothing leads out of these; of a settled state that is not final, a renewal does.
FINAL = frozenset(TransferState) - {edge.source for edge in EDGES}
_LEGEND = (
    "Filled: final. Coloured border: settled; a renewal opens the next round of the same key.",
    "No step leads back from sent within a round.",
)


def states() -> str:
    """Show the states of a round and the steps between them, as the journal's table has them."""
    title = "A transfer in a journal"
    ways: dict[tuple[TransferState, TransferState], list[str]] = {}
    for edge in EDGES:
        if edge.source is not None:
            ways.setdefault((edge.source, edge.target), []).append(edge.step)
    parts = [text(24, 34, title, "head")]
    drawn = [_way(pair, " / ".join(steps)) for pair, steps in ways.items()]
    parts += [line for line, _ in drawn] + [label for _, label in drawn]
    parts += [_state(state, x, y) for state, (x, y) in _PLACES.items()]
    parts.append(text(24, 480, _LEGEND[0], "quiet") + text(24, 500, _LEGEND[1], "quiet"))
    steps = "; ".join(
        f"{edge.step}: {edge.source or 'nothing'} to {edge.target}, {edge.when}" for edge in EDGES
    )
    return svg(520, title, f"The steps and the states that they lead to. {steps}.", parts)


def _state(state: TransferState, x: int, y: int) -> str:
    kind, words = ("mark", "on-mark") if state in FINAL else ("box", "")
    kind += " settled" if state in SETTLED else ""
    box = f'<rect class="{kind}" x="{x - 58}" y="{y - 18}" width="116" height="36" rx="18"/>\n'
    return box + text(x, y + 5, state.value, words, "middle")


def _way(pair: tuple[TransferState, TransferState], steps: str) -> tuple[str, str]:
    """Draw a line, and its label, which goes above all lines."""
    (x1, y1), (x2, y2) = _PLACES[pair[0]], _PLACES[pair[1]]
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2 + _BENDS.get(pair, 0)
    sx, sy = _edge_of_box(x1, y1, cx, cy)
    ex, ey = _edge_of_box(x2, y2, cx, cy)
    line = (
        f'<path class="line" d="M{sx:.0f} {sy:.0f}Q{cx:.0f} {cy:.0f} {ex:.0f} {ey:.0f}"/>\n'
        + _arrowhead(ex, ey, ex - cx, ey - cy)
    )
    t = _LABELS.get(pair, 0.5)
    before, between, after = (1 - t) ** 2, 2 * t * (1 - t), t**2
    x, y = before * sx + between * cx + after * ex, before * sy + between * cy + after * ey
    wide = 7 * len(steps) + 8
    left, top = x - wide / 2, y - 9
    ground = f'<rect class="page" x="{left:.0f}" y="{top:.0f}" width="{wide}" height="18"/>\n'
    return line, ground + text(round(x), round(y + 4), steps, "quiet", "middle")


def _arrowhead(x: float, y: float, dx: float, dy: float) -> str:
    """Draw the head of an arrow that arrives at a point from a direction."""
    length = math.hypot(dx, dy)
    ux, uy = dx / length, dy / length
    corners = [(x - 11 * ux + side * uy, y - 11 * uy - side * ux) for side in (5, -5)]
    (ax, ay), (bx, by) = corners
    return f'<path class="tip" d="M{x:.1f} {y:.1f}L{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}Z"/>\n'


def _edge_of_box(x: float, y: float, toward_x: float, toward_y: float) -> tuple[float, float]:
    """Find where a line from the middle of a state's box leaves it."""
    dx, dy = toward_x - x, toward_y - y
    part = min(62 / abs(dx) if dx else 9, 22 / abs(dy) if dy else 9)
    return x + part * dx, y + part * dy


# --- 3: the layers, and the flow of a call

# The steps of a call, and the module that takes each; `explanation/architecture.md` has the same.
FLOW = (
    ("A method makes a value.", "client"),
    ("The call gets a deadline.", "_calls.executor"),
    ("An attempt begins.", "_calls.attempt"),
    ("It waits for its turn.", "_calls.throttle"),
    ("The request is sent.", "_http.sender"),
    ("A connection carries it.", "_http.connections"),
    ("The answer is decoded.", "_wire.decoding"),
    ("After an error: repeat it?", "_calls.retry"),
)


def call_flow() -> str:
    """Show the modules as import-linter knows them, numbered along the flow of a call."""
    title = "The layers, and the flow of a call"
    rows = layers()
    parts = [text(24, 34, title, "head")]
    for number, modules in enumerate(rows):
        y = 56 + 46 * number
        x = 24.0
        for module in modules:
            wide = 9 * len(module) + 22 + 26 * len(_steps_of(module))
            parts.append(_module(x, y, wide, module))
            x += wide + 12
    parts.append(text(24, 76 + 46 * len(rows), "Imports go down only.", "quiet"))
    for number, (words, _) in enumerate(FLOW, 1):
        parts.append(
            _mark(606, 44 + 28 * number, number) + text(626, 48 + 28 * number, words, "quiet")
        )
    steps = " ".join(f"{n} {module}: {words}" for n, (words, module) in enumerate(FLOW, 1))
    return svg(
        92 + 46 * len(rows),
        title,
        f"The layers from the top: {'; '.join(', '.join(modules) for modules in rows)}. Imports "
        f"go down only. The steps of a call: {steps}",
        parts,
    )


def layers() -> list[list[str]]:
    """Read the layers of the package from import-linter's contract."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))
    plan = next(
        contract
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers" and contract["containers"] == ["clicksend_reseller"]
    )
    return [[module.strip(" ()") for module in layer.split("|")] for layer in plan["layers"]]


def _steps_of(module: str) -> list[int]:
    """Number the steps that a module takes, or one inside it."""
    return [n for n, (_, taker) in enumerate(FLOW, 1) if taker.partition(".")[0] == module]


def _module(x: float, y: float, wide: float, module: str) -> str:
    box = f'<rect class="box" x="{x:g}" y="{y}" width="{wide}" height="34" rx="6"/>\n'
    steps = _steps_of(module)
    marks = [_mark(x + 19 + 26 * n, y + 17, step) for n, step in enumerate(steps)]
    return box + "".join(marks) + text(x + 11 + 26 * len(steps), y + 21, module, "mono")


def _mark(x: float, y: float, number: int) -> str:
    circle = f'<circle class="mark" cx="{x:g}" cy="{y:g}" r="11"/>\n'
    return circle + text(x, y + 4, str(number), "on-mark", "middle")


# --- 4: which error, which next step

_FIELDS = AccountFields(
    username="u",
    password="p",
    user_email="e",
    user_phone="p",
    user_first_name="f",
    user_last_name="l",
    account_name="a",
    country="AU",
)
ASKED: dict[str, Operation[Any]] = {
    "a read": operations.get_account(1),
    "update": operations.update_account(1, _FIELDS),
    "create": operations.create_account(_FIELDS),
    "transfer": operations.transfer_credit(1, 1, "AUD", allow_negative=False),
}
# What happened to an attempt, as the modules below the retry rules report it.
HAPPENED: dict[str, list[ResellerError]] = {
    "proven unsent": [APIConnectionError("refused")],
    "certificate": [APIConnectionError("bad certificate", permanent=True), ClientStateError("x")],
    "429": [RateLimitError("too many", status_code=429)],
    "lost answer": [
        APIConnectionError("lost", outcome=Outcome.UNKNOWN),
        ServerError("broken", status_code=503, outcome=Outcome.UNKNOWN),
        APIResponseError("no JSON", status_code=200),
    ],
    "another 4xx": [BadRequestError("bad", status_code=400)],
    "a redirect": [APIResponseError("moved", status_code=307, permanent=True)],
    "success": [APIResponseError("odd", status_code=200, outcome=Outcome.APPLIED, permanent=True)],
}
_IN_FULL = {
    "proven unsent": "proven unsent: no connection",
    "certificate": "certificate or header fault",
    "429": "429, too many calls",
    "lost answer": "lost answer, 5xx, unreadable",
    "another 4xx": "another 4xx of the API",
    "a redirect": "a redirect, never followed",
    "success": "success, account unreadable",
}
_ENDS = {
    Outcome.NOT_SENT: ("fix it, call again", ""),
    Outcome.REJECTED: ("refused: fix it", ""),
    Outcome.UNKNOWN: ("unknown: look first", "bad"),
    Outcome.APPLIED: ("applied: go on", "good"),
}


def repeated(error: ResellerError, operation: Operation[Any]) -> bool:
    """Return True if the client itself tries again."""
    return may_repeat(error, operation, RetryPolicy(), journaled=False)


def next_step() -> str:
    """Show what the client does after each kind of failure, and what is left for the caller."""
    title = "What happened, and what now"
    parts = [text(24, 34, title, "head")]
    columns = [252 + 146 * n for n in range(len(ASKED))]
    parts += [text(x, 66, name, "quiet") for x, name in zip(columns, ASKED, strict=True)]
    said: list[str] = []
    for number, (happened, errors) in enumerate(HAPPENED.items()):
        y = 98 + 38 * number
        parts.append(f'<path class="line" d="M24 {y - 22}H{WIDTH - 24}" opacity=".3"/>\n')
        parts.append(text(24, y, _IN_FULL[happened], "quiet"))
        for x, (name, operation) in zip(columns, ASKED.items(), strict=True):
            words, kind = _cell(errors[0], operation)
            parts.append(text(x, y, words, f"cell {kind}"))
            said.append(f"{name}: {words}")
    height = 98 + 38 * len(HAPPENED)
    parts.append(
        text(
            24,
            height,
            "A create or transfer that may have been applied is not sent again.",
            "quiet",
        )
    )
    return svg(height + 24, title, _read_out(said), parts)


def _cell(error: ResellerError, operation: Operation[Any]) -> tuple[str, str]:
    if repeated(error, operation):
        return "tried again", "good"
    if not operation.writes and error.outcome in {Outcome.UNKNOWN, Outcome.APPLIED}:
        return "raised", ""  # a read changes nothing either way
    if isinstance(error, RateLimitError):
        return "refused: call later", ""
    return _ENDS[error.outcome]


def _read_out(said: list[str]) -> str:
    rows = [said[n : n + len(ASKED)] for n in range(0, len(said), len(ASKED))]
    return " ".join(
        f"{_IN_FULL[happened]}: {', '.join(row)}."
        for happened, row in zip(HAPPENED, rows, strict=True)
    )


PICTURES: dict[str, Callable[[], str]] = {
    "lost-answer.svg": lost_answer,
    "states.svg": states,
    "call-flow.svg": call_flow,
    "next-step.svg": next_step,
}


def main() -> int:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), "utf-8")
        print(FOLDER / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
