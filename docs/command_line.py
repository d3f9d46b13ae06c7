"""What do the docs show of the command line? `python docs/command_line.py` writes it from runs.

The reference of commands comes from their own help, and the pictures of sessions from runs at a
pseudo-terminal against a sandbox. A test runs all of it again and compares.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape, unescape
from io import StringIO
from pathlib import Path

import pexpect
import pyte
from cyclopts import App
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from clicksend_reseller.cli.app import make_app
from clicksend_reseller.cli.exit_status import MEANINGS

HERE = Path(__file__).resolve().parent
PAGE = HERE / "reference" / "cli.md"
PICTURES = HERE / "pictures"
BEGIN, END = "<!-- written by docs/command_line.py -->", "<!-- end -->"
COLUMNS, LINES = 80, 60

# What is typed, and the answer to its question where it asks one.
SESSIONS = {
    "session-transfer": (
        "A transfer is shown, confirmed and sent once; one whose answer is lost ends with 6",
        [
            ("clicksend-reseller accounts list --low 8 --sandbox", ""),
            ("clicksend-reseller transfer 1001 12 AUD --key invoice-4711 --sandbox", "y"),
            ("clicksend-reseller transfer 1011 12 AUD --key invoice-4712 --sandbox", "y"),
        ],
    ),
    "session-top-up": (
        "Clients below 10 are topped up to 50; the same command again pays nobody twice",
        [
            ("clicksend-reseller top-up --below 10 --to 50 --batch 2026-11-24", "y"),
            ("clicksend-reseller top-up --below 10 --to 50 --batch 2026-11-24", ""),
        ],
    ),
}


# --- the reference


def reference() -> str:
    """Write the section of the reference that comes from the code."""
    app = make_app()
    parts = [_statuses(), _shared(app), *(_command(app, path) for path in _paths(app))]
    return "\n\n".join(parts)


def _paths(app: App) -> Iterator[tuple[str, ...]]:
    for name in (name for name in app if not name.startswith("-")):
        children = [child for child in app[name] if not child.startswith("-")]
        yield from ((name, child) for child in children) if children else [(name,)]


def _statuses() -> str:
    rows = [f"| {status.value} | {meaning} |" for status, meaning in MEANINGS.items()]
    return "\n".join(["## Exit statuses", "", "| exit | meaning |", "| --- | --- |", *rows])


def _shared(app: App) -> str:
    shared = _blocks(_help(app.meta, ()))
    return "\n\n".join(
        [
            "## Options of every command",
            shared["Options of every command"],
            "## Options of the commands that move money",
            _blocks(_help(app, ("transfer",)))["Moving money"],
        ]
    )


def _command(app: App, path: tuple[str, ...]) -> str:
    if path == ("sandbox",):
        return (
            "## sandbox\n\nServes the API on this machine, with clients and faults; its options "
            "are those of `python -m clicksend_reseller.sandbox`. See [the sandbox](sandbox.md)."
        )
    blocks = _blocks(_help(app, path))
    blocks[""] = blocks[""].replace(f" {path[-1]} ", f" {' '.join(path)} ", 1)
    own = [blocks[name] for name in ("Arguments", "Parameters", "The account") if name in blocks]
    return "\n\n".join([f"## {' '.join(path)}", blocks[""], *own])


def _help(app: App, path: tuple[str, ...]) -> str:
    for name in path:
        app = app[name]
    return app.generate_docs(output_format="markdown", recursive=False, heading_level=2)


def _blocks(text: str) -> dict[str, str]:
    """Split a command's help at its bold headings; the first block is what it is for."""
    head, *rest = re.split(r"^\*\*([\w ]+)\*\*:\n", text, flags=re.MULTILINE)
    about = re.sub(r"\A#.*\n|```console\n|```\n?", "", head)
    usage, _, words = about.strip().partition("\n")
    blocks = {"": f"`clicksend-reseller {usage}`\n\n{words.strip()}"}
    for name, block in zip(rest[::2], rest[1::2], strict=True):
        whole = re.sub(r"\n +", " ", block.strip())
        blocks[name] = re.sub(r":? *$", "", whole, flags=re.MULTILINE)
    return blocks


# --- sessions


def play(name: str) -> Text:
    """Play a session at a pseudo-terminal; give what stands on its screen."""
    _, steps = SESSIONS[name]
    shown = Text()
    with _home() as env:
        for typed, answer in steps:
            shown.append(f"$ {typed}\n", style="bold")
            status, screen = _screen(typed, answer, env)
            shown.append_text(screen)
            if status:
                shown.append("$ echo $?\n", style="bold").append(f"{status}\n")
    return shown


@contextmanager
def _home() -> Iterator[dict[str, str]]:
    """Lend a home, and a sandbox that the environment leads to."""
    command = [sys.executable, "-m", "clicksend_reseller.sandbox", "--port", "0", "--env"]
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox,  # noqa: S603 - ours
    ):
        try:
            line = sandbox.stdout.readline() if sandbox.stdout else ""
            served = dict(word.split("=", 1) for word in line.split()[1:])
            terminal = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": str(COLUMNS)}
            yield {**kept, **served, **terminal, "HOME": folder}
        finally:
            sandbox.terminate()


def _screen(typed: str, answer: str, env: dict[str, str]) -> tuple[int, Text]:
    words = [sys.executable, "-m", "clicksend_reseller.cli", *typed.split()[1:]]
    child = pexpect.spawn(
        words[0], words[1:], env=env, dimensions=(LINES, COLUMNS), encoding="utf-8", timeout=60
    )
    heard = ""
    if answer:
        child.expect_exact("[y/N] ")
        heard = child.before + child.after
        child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    said = (heard + child.before).replace(env["HOME"], "/home/you")
    return child.exitstatus or 0, _drawn(said, env["CLICKSEND_BASE_URL"])


def _drawn(stream: str, url: str) -> Text:
    """Let a terminal obey what was said, and give the lines that it shows then."""
    screen = pyte.Screen(COLUMNS, LINES)
    pyte.Stream(screen).feed(stream)
    lines = [
        Text.assemble(*((char.data, _style(char)) for char in map(row.__getitem__, range(COLUMNS))))
        for row in map(screen.buffer.__getitem__, range(LINES))
    ]
    for line in lines:
        line.rstrip()
    while lines and not lines[-1].plain:
        lines.pop()
    port = url.split(":")[2].split("/", maxsplit=1)[0]
    return Text("\n").join(_steady(line, port) for line in _sorted(lines)).append("\n")


def _sorted(lines: list[Text]) -> list[Text]:
    """Put rows that ended in any order in the order of their clients."""
    at = [n for n, line in enumerate(lines) if re.match(r"\s*1\d{3} ", line.plain)]
    for place, line in zip(at, sorted((lines[n] for n in at), key=str), strict=True):
        lines[place] = line
    return lines


def _style(char: pyte.screens.Char) -> str:
    colour = {"default": "", "brown": "yellow"}.get(char.fg, char.fg)
    return " ".join(filter(None, ("bold" if char.bold else "", colour)))


def _steady(line: Text, port: str) -> Text:
    """Show the sandbox's usual port, and one time of day, whichever they were this time."""
    for pattern, usual in ((port, "8730"), (r"\d{4}-\d\d-\d\dT[\d:]{8}Z", "2026-11-24T09:00:00Z")):
        if found := re.search(pattern, line.plain):
            line = Text.assemble(line[: found.start()], usual, line[found.end() :])
    return line


def picture(name: str, shown: Text) -> str:
    """Draw a screen, with a title for those who do not see it, and no font from elsewhere."""
    title = SESSIONS[name][0]
    console = Console(file=StringIO(), width=COLUMNS, record=True, force_terminal=True)
    console.print(shown)
    svg = console.export_svg(title="clicksend-reseller", theme=MONOKAI, unique_id=name)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace(
        'xmlns="http://www.w3.org/2000/svg">',
        f'xmlns="http://www.w3.org/2000/svg" role="img">\n<title>{escape(title)}</title>',
        1,
    )


def words_of(svg: str) -> list[str]:
    """Give the words of a picture of a session, in their order."""
    body = svg[svg.index("</defs>") :]
    found = re.findall(r"<text[^>]*>(.*?)</text>", body, re.DOTALL)
    return " ".join(unescape(words) for words in found).replace("\xa0", " ").split()


def with_reference(page: str) -> str:
    """Give the page with its written section replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def main() -> None:
    """Write the reference and the pictures."""
    PAGE.write_text(with_reference(PAGE.read_text("utf-8")), "utf-8")
    for name in SESSIONS:
        (PICTURES / f"{name}.svg").write_text(picture(name, play(name)), "utf-8")


if __name__ == "__main__":
    main()
