"""How do the figures look? Each as a bar, as long as the share of its target that it takes."""

from __future__ import annotations

from html import escape

from bench.measure import Figure

WIDTH, ROW, TOP, LEFT, SCALE = 860, 40, 56, 24, 520
LONGEST = 1.5  # times the target; a bar that would be longer ends there

STYLE = """
 text { font: 13px system-ui, sans-serif; fill: #1f2328 }
 .quiet { fill: #59636e; font-size: 12px }
 .reached { fill: #1f7a8c } .missed { fill: #b54708 }
 .whisker { stroke: #1f2328; stroke-width: 1.5 }
 .target { stroke: #59636e; stroke-dasharray: 4 3 }
 @media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 }
  .reached { fill: #3aa6b9 } .missed { fill: #f0883e }
  .whisker { stroke: #e6edf3 } .target { stroke: #9198a1 }
 }
"""


def draw(figures: list[Figure]) -> str:
    """Draw those that have a target."""
    aimed = [figure for figure in figures if figure.target is not None]
    height = TOP + ROW * len(aimed) + 12
    bars = "".join(_bar(figure, TOP + ROW * n) for n, figure in enumerate(aimed))
    missed = [figure.question for figure in aimed if not figure.reached]
    at_target = LEFT + SCALE / LONGEST
    description = (
        f"{len(aimed) - len(missed)} of {len(aimed)} figures reach their target. "
        + " ".join(f"{_plain(figure)}: {value(figure)}." for figure in aimed)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" \
aria-labelledby="title desc">
<title id="title">Each figure as a share of its target</title>
<desc id="desc">{escape(description)}</desc>
<style>{STYLE}</style>
<text x="{LEFT}" y="22">Shorter is better; the thin line spans all rounds</text>
<text class="quiet" x="{at_target:g}" y="44" text-anchor="middle">target</text>
<line class="target" x1="{at_target:g}" x2="{at_target:g}" y1="50" y2="{height - 6}"/>
{bars}</svg>
"""


def value(figure: Figure) -> str:
    """Show a figure's value."""
    return f"{number(figure.value)}{f' {figure.unit}' if figure.unit else ''}"


def number(value: float) -> str:
    """Show a number so that it can be compared."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _bar(figure: Figure, y: int) -> str:
    ends = f"{value(figure)} (target {number(figure.target or 1.0)})"
    return f"""<text class="quiet" x="{LEFT}" y="{y + 11}">{escape(_plain(figure))}</text>
<rect class="{"reached" if figure.reached else "missed"}" x="{LEFT}" y="{y + 17}" \
width="{_at(figure, figure.value):.1f}" height="12" rx="2"/>
<line class="whisker" x1="{LEFT + _at(figure, figure.low):.1f}" \
x2="{LEFT + _at(figure, figure.high):.1f}" y1="{y + 23}" y2="{y + 23}"/>
<text x="{LEFT + SCALE + 12}" y="{y + 28}">{escape(ends)}</text>
"""


def _plain(figure: Figure) -> str:
    against = f", against {figure.against}" if figure.against else ""
    return f"{figure.question}{against}".replace("`", "")


def _at(figure: Figure, amount: float) -> float:
    assert figure.target is not None
    return min(amount / figure.target, LONGEST) / LONGEST * SCALE
