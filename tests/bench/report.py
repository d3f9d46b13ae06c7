"""The figures as JSON, and the chart, the page and the table of targets made from it."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import attrs

from bench import chart
from bench.measure import Figure

DOCS = Path(__file__).resolve().parents[2] / "docs"
DATA = DOCS / "benchmarks.json"
CHART = DOCS / "benchmarks.svg"
PAGE = DOCS / "reference" / "benchmarks.md"
TARGETS = DOCS / "CONTRIBUTING.md"
BEGIN, END = "<!-- written by nox -s bench -->", "<!-- end -->"

LIBRARIES = ("httpx", "httpcore", "attrs", "cattrs", "tenacity", "pydantic")


def line(figure: Figure) -> str:
    """Give a figure as one line for a terminal."""
    verdict = "" if figure.target is None else f"target {chart.number(figure.target)}, "
    verdict += "" if figure.target is None else ("reached" if figure.reached else "NOT REACHED")
    spread = f"({chart.number(figure.low)} to {chart.number(figure.high)})"
    shown = f"{chart.value(figure):>10}  {spread:22}  {verdict:26}"
    against = f", against {figure.against}" if figure.against else ""
    return f"{shown}  {figure.question}{against}".replace("`", "")


def write(figures: list[Figure]) -> None:
    """Write the data, the chart, the page and the table of targets."""
    run = {
        "measured": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": "python3 noxfile.py -s bench",
        "machine": _machine(),
        "figures": [attrs.asdict(figure) for figure in figures],
    }
    DATA.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", "utf-8")
    CHART.write_text(chart.draw(figures), "utf-8")
    PAGE.write_text(page(run), "utf-8")
    TARGETS.write_text(with_targets(TARGETS.read_text("utf-8"), run), "utf-8")


def written() -> list[str]:
    """Name the files, from the top of the checkout."""
    return [str(path.relative_to(DOCS.parent)) for path in (DATA, CHART, PAGE, TARGETS)]


def read() -> dict[str, Any]:
    """Read the data of the last thorough run."""
    return cast("dict[str, Any]", json.loads(DATA.read_text("utf-8")))


def figures_of(run: dict[str, Any]) -> list[Figure]:
    """Give a run's figures."""
    return [Figure(**figure) for figure in run["figures"]]


def page(run: dict[str, Any]) -> str:
    """Write the page of a run."""
    rows = [_row(figure) for figure in figures_of(run)]
    return f"""<!-- search: benchmark, benchmarks, performance, speed, fast, figures, latency -->

# Benchmarks

This package compared with the official client and with plain httpx. The chart has the values that \
most people ask for; the table below has all of them.

```shell
{run["command"]}
```

measures all of it on your machine, and writes this page, its chart and the \
[data](../benchmarks.json). This run: {run["measured"]}, {run["machine"]}.

![The official client, plain httpx and this package: CPU for a call, CPU at 50 calls at once, a \
list of 100 pages, and import](../benchmarks.svg)

Each line is a ratio of two things measured in turn in one run, or a plain time. Less is better. \
The median of the rounds is first, then the lowest and the highest. The server runs in a process \
of its own on the same machine, and CPU is the client's alone.

| measured | against | median | lowest to highest |
| --- | --- | --- | --- |
{chr(10).join(rows)}

Each benchmark is a file in `tests/bench/`; `-- --only decoding` runs one of them, \
`-- --quick` runs all of them with few rounds and writes nothing. The targets are in \
[Contributing](../CONTRIBUTING.md#speed-targets).
"""


def with_targets(text: str, run: dict[str, Any]) -> str:
    """Give the text with its table of targets replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = [_target(figure) for figure in figures_of(run) if figure.target is not None]
    table = "\n".join(
        ["| measured | against | median | target |", "| --- | --- | --- | --- |", *rows]
    )
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _row(figure: Figure) -> str:
    both = f" ({figure.above} : {figure.below})" if figure.above else ""
    spread = f"{chart.number(figure.low)} to {chart.number(figure.high)}"
    return f"| {figure.question} | {figure.against} | **{chart.value(figure)}**{both} | {spread} |"


def _target(figure: Figure) -> str:
    reached = "" if figure.reached else ", not reached"
    target = f"{chart.number(figure.target or 0)}{reached}"
    return f"| {figure.question} | {figure.against} | {chart.value(figure)} | {target} |"


def _machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, {python}, {libraries}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    named = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
