"""How are the figures kept and shown? As JSON, and made from that alone a chart and a page."""

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
DATA = DOCS / "figures.json"
CHART = DOCS / "figures.svg"
PAGE = DOCS / "reference" / "figures.md"

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
    """Write the data, the chart and the page."""
    run = {
        "measured": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": "python3 noxfile.py -s bench",
        "machine": _machine(),
        "figures": [attrs.asdict(figure) for figure in figures],
    }
    DATA.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", "utf-8")
    CHART.write_text(chart.draw(figures), "utf-8")
    PAGE.write_text(page(run), "utf-8")


def written() -> list[str]:
    """Name the files, from the top of the checkout."""
    return [str(path.relative_to(DOCS.parent)) for path in (DATA, CHART, PAGE)]


def read() -> dict[str, Any]:
    """Read the data of the last thorough run."""
    return cast("dict[str, Any]", json.loads(DATA.read_text("utf-8")))


def figures_of(run: dict[str, Any]) -> list[Figure]:
    """Give a run's figures."""
    return [Figure(**figure) for figure in run["figures"]]


def page(run: dict[str, Any]) -> str:
    """Write the page of a run."""
    figures = figures_of(run)
    rows = [_row(figure) for figure in figures if figure.target is not None]
    others = [_row(figure) for figure in figures if figure.target is None]
    return f"""# Figures

How quick is it? Every line is a ratio of two things measured in turn in one run, or a plain time; \
less is better. The median of the rounds stands first, then the lowest and the highest. The server \
runs in a process of its own on the same machine, and CPU is the client's alone.

```shell
{run["command"]}
```

makes this page, its chart and their [data](../figures.json) anew, on your machine. This run: \
{run["measured"]}, {run["machine"]}.

![Each figure as a share of its target](../figures.svg)

| measured | against | median | spread | target |
| --- | --- | --- | --- | --- |
{chr(10).join(rows)}

Without a target, for orientation:

| measured | against | median | spread | target |
| --- | --- | --- | --- | --- |
{chr(10).join(others)}

Each question is a file in `tests/bench/`; `-- --only decoding` asks one of them, \
`-- --quick` asks all of them hastily and writes nothing.
"""


def _row(figure: Figure) -> str:
    both = f" ({figure.above} : {figure.below})" if figure.above else ""
    target = "" if figure.target is None else f"{chart.number(figure.target)}"
    cells = (
        figure.question,
        figure.against,
        f"**{chart.value(figure)}**{both}",
        f"{chart.number(figure.low)} to {chart.number(figure.high)}",
        f"{target}{'' if figure.reached else ', not reached'}",
    )
    return f"| {' | '.join(cells)} |"


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
