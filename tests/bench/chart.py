"""The benchmark chart: the official client, plain httpx and this package, beside each other.

Narrow and in large letters, so that it can be read on a phone.
"""

from __future__ import annotations

from html import escape

import attrs

from bench.measure import Figure

WIDTH, LEFT, BAR, LONGEST = 480, 16, 22, 330
LEGEND = ("clicksend-reseller", "plain httpx", "official client")  # their colours: 1, 2, 3

STYLE = """
 text { font: 15px system-ui, sans-serif; fill: #1f2328 }
 .head { font-weight: 600 } .quiet { fill: #59636e }
 .c1 { fill: #1f7a8c } .c2 { fill: #8c959f } .c3 { fill: #b54708 }
 .page { fill: #ffffff }
 @media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 }
  .c1 { fill: #3aa6b9 } .c2 { fill: #6e7781 } .c3 { fill: #f0883e }
  .page { fill: #0d1117 }
 }
"""


@attrs.frozen(kw_only=True)
class Group:
    """One question, and what each of the three takes; None and a reason where it cannot."""

    title: str
    values: tuple[str | None, str | None, str | None]
    missing: str = ""


def groups(figures: list[Figure]) -> list[Group]:
    """Take from the figures what a person wants to compare."""
    found = {(figure.question, figure.against): figure for figure in figures}
    raw = "`httpx.AsyncClient.get` and `json.loads`"
    one = found["CPU of `get_account`, one at a time", raw]
    official = found["CPU of `get_account`, one at a time", "the official SDK, which blocks"]
    many = found["CPU of `get_account`, 50 at once", raw]
    walk = next(f for f in figures if f.question == "walk of 100 pages, `prefetch=8`")
    loop = next(f for f in figures if f.question == "walk of 100 pages, one after the other")
    imports = next(f for f in figures if f.against == "`import clicksend`, the official SDK")
    return [
        Group(title="CPU for one call", values=(one.above, one.below, official.below)),
        Group(
            title="CPU for each of 50 calls at once",
            values=(many.above, many.below, None),
            missing="cannot: it blocks",
        ),
        Group(
            title="Read 100 pages, 50 ms away",
            values=(walk.above, loop.below, None),
            missing="cannot: it reads the first page",
        ),
        Group(title="Time to import", values=(imports.above, None, imports.below)),
    ]


def draw(figures: list[Figure]) -> str:
    """Draw all groups, with a legend."""
    drawn = groups(figures)
    parts = [_legend()]
    y = 112
    for group in drawn:
        parts.append(_group(group, y))
        y += 42 + (BAR + 6) * len(_shown(group))
    description = "Less is better. " + " ".join(_heard(group) for group in drawn)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y - 10}" \
width="{WIDTH}" role="img" aria-labelledby="title desc">
<title id="title">The official client, plain httpx and this package</title>
<desc id="desc">{escape(description)}</desc>
<style>{STYLE}</style>
<rect class="page" width="100%" height="100%" rx="8"/>
{"".join(parts)}</svg>
"""


def value(figure: Figure) -> str:
    """Show a figure's value."""
    return f"{number(figure.value)}{f' {figure.unit}' if figure.unit else ''}"


def number(value: float) -> str:
    """Show a number so that it can be compared."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _legend() -> str:
    parts = [f'<text class="head" x="{LEFT}" y="28">Shorter is better</text>\n']
    for n, (x, name) in enumerate(zip((LEFT, 186, 308), LEGEND, strict=True)):
        parts.append(f'<rect class="c{n + 1}" x="{x}" y="46" width="14" height="14" rx="3"/>\n')
        parts.append(f'<text x="{x + 20}" y="58">{name}</text>\n')
    return "".join(parts)


def _group(group: Group, y: int) -> str:
    parts = [f'<text class="head" x="{LEFT}" y="{y}">{group.title}</text>\n']
    longest = max(_amount(text) for text in group.values if text)
    for row, (n, text) in enumerate(_shown(group)):
        top = y + 10 + (BAR + 6) * row
        wide = LONGEST * _amount(text) / longest if text else 0
        parts.append(
            f'<rect class="c{n + 1}" x="{LEFT}" y="{top}" width="{max(wide, 2):.1f}" '
            f'height="{BAR}" rx="3"/>\n'
            f'<text x="{LEFT + wide + 8:.1f}" y="{top + 16}">{text or group.missing}</text>\n'
        )
    return "".join(parts)


def _shown(group: Group) -> list[tuple[int, str | None]]:
    """Leave out who is not asked, and keep who cannot."""
    return [(n, text) for n, text in enumerate(group.values) if text or group.missing]


def _heard(group: Group) -> str:
    shown = (f"{LEGEND[n]} {text or group.missing}" for n, text in _shown(group))
    return f"{group.title}: {', '.join(shown)}."


def _amount(text: str) -> float:
    return float(text.split(maxsplit=1)[0].replace(",", ""))
