"""The README and the docs say what is: every Python block runs, every shell line is known."""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import inspect
import io
import logging
import re
import shlex
import subprocess
import sys
import tomllib
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from pathlib import Path
from types import ModuleType

import pytest
from sybil import Document, Example
from sybil.evaluators.python import pad
from sybil.parsers.myst import CodeBlockParser

import clicksend_reseller
from clicksend_reseller.journal import EDGES, SQLJournal
from clicksend_reseller.sandbox.background import serve_beside
from clicksend_reseller.sandbox.pytest_plugin import _make_sandbox
from clicksend_reseller.sandbox.service.faults import KINDS
from pictures import ASKED, HAPPENED, repeated
from support.command_line import parsed
from support.memory_journal import MemoryJournal

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if "_build" not in path.parts
)
PACKAGE = ROOT / "clicksend_reseller"


def _name_of(page):
    return str(page.relative_to(ROOT))


class Reader:
    """Reads a page like a person at a prompt: block after block, in one event loop."""

    def __init__(self, page, runner, monkeypatch):
        self.runner = runner
        self.monkeypatch = monkeypatch
        self.printed = None
        parsers = (CodeBlockParser("python", self.run), CodeBlockParser("text", self.compare))
        self.page = Document.parse(str(page), *parsers)
        module = ModuleType("page")  # frameworks look up the module of a function
        monkeypatch.setitem(sys.modules, module.__name__, module)
        self.page.namespace = vars(module)

    def read(self):
        for example in self.page.examples():
            example.evaluate()

    def run(self, example: Example):
        source = pad(example.parsed, example.line + example.parsed.line_offset)
        flags = PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, example.path, "exec", flags=flags, dont_inherit=True)
        earlier = set(example.namespace)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.finish(eval(code, example.namespace))  # noqa: S307 - the page's own block
            for name in example.namespace.keys() - earlier:
                if name.startswith("test_"):
                    self.test(example.namespace[name])
        self.printed = printed.getvalue()

    def test(self, function):
        sandbox = self.sandbox_for(function)
        with contextlib.ExitStack() as stack:
            fixtures = {
                "monkeypatch": lambda: stack.enter_context(self.monkeypatch.context()),
                "reseller_client": sandbox.client,
                "reseller_sandbox": lambda: sandbox,
                "served_reseller_sandbox": lambda: stack.enter_context(serve_beside(sandbox)),
            }
            asked = inspect.signature(function).parameters
            self.finish(function(**{name: fixtures[name]() for name in asked}))

    def sandbox_for(self, function):
        marks = [m for m in getattr(function, "pytestmark", ()) if m.name == "reseller_sandbox"]
        return _make_sandbox(marks[0].kwargs if marks else {})

    def finish(self, result):
        if inspect.iscoroutine(result):
            self.runner.run(result)

    def compare(self, example: Example):
        """A `text` block is what the block above it prints; three dots stand for anything."""
        checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
        if self.printed is None:
            return "no Python block stands above this output"
        if not checker.check_output(example.parsed, self.printed, flags):
            return f"what is printed:\n{self.printed}"
        return None


@pytest.fixture(scope="module")
def served():
    """Serve a sandbox as the pages say, and give the variables that its export line sets."""
    command = [sys.executable, "-m", "clicksend_reseller.sandbox", "--port", "0", "--env"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout
            words = process.stdout.readline().split()
            assert "export" == words[0]
            yield dict(word.split("=", 1) for word in words[1:])
        finally:
            process.terminate()


@pytest.mark.parametrize("page", PAGES, ids=_name_of)
def test_every_python_block_runs_and_prints_what_the_page_says(
    page, served, monkeypatch, caplog, tmp_path
):
    """A page is true from top to bottom; where it means the live API it meets a sandbox."""
    monkeypatch.chdir(tmp_path)  # what a page writes does not stay in the checkout
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    # A page may set the level of our logger, and the next test must not find it so.
    restored = caplog.at_level(logging.NOTSET, logger="clicksend_reseller")
    with restored, asyncio.Runner() as runner:
        Reader(page, runner, monkeypatch).read()


def test_a_reader_sees_a_wrong_output(tmp_path, monkeypatch):
    """The comparison above is no empty one."""
    page = tmp_path / "page.md"
    page.write_text('```python\nprint("a")\n```\n\n```text\nb\n```\n', "utf-8")
    with asyncio.Runner() as runner, pytest.raises(AssertionError, match="what is printed"):
        Reader(page, runner, monkeypatch).read()


# --- what a page begins with

REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))


@pytest.mark.parametrize("page", REFERENCE, ids=_name_of)
def test_a_reference_page_begins_with_an_example(page):
    """The shortest one that runs stands above everything that is looked up."""
    head = page.read_text("utf-8").split("\n## ", 1)[0].split("```{eval-rst}", 1)[0]
    assert re.search(r"^```(python|shell)\n", head, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES[1:], ids=_name_of)
def test_a_page_names_the_words_that_it_answers(page):
    """The site's own search puts it first for these."""
    assert page.name == "index.md" or page.read_text("utf-8").startswith("<!-- search: ")


# --- shell lines


def _shell_lines():
    for page in PAGES:
        for block in re.findall(
            r"^```shell\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            for line in block.splitlines():
                command = line.partition(" #")[0].strip()
                yield pytest.param(command, id=f"{_name_of(page)}: {command}")


def _sessions():
    found = re.findall(
        r"^@nox\.session.*\n(?:@.*\n)*def (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE
    )
    return set(found)


def _extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return set(project["optional-dependencies"])


@pytest.fixture(scope="module")
def sandbox_help():
    """Ask the sandbox for its options."""
    command = [sys.executable, "-m", "clicksend_reseller.sandbox", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("line", list(_shell_lines()))
def test_every_shell_line_names_what_exists(line, sandbox_help):
    """Sessions, _extras and options in shell blocks are there; a line of another kind fails."""
    inner = re.fullmatch(r'eval "\$\((.*) &\)"', line)
    words = (inner[1] if inner else line).split()
    match words:
        case ["python3", "noxfile.py", "-l"]:
            pass
        case ["python3", "noxfile.py", "-s", *names]:
            given = names[: names.index("--")] if "--" in names else names
            assert set(given) <= _sessions()
        case ["python3", "noxfile.py", "-t", tag]:
            assert f'tags=["{tag}"]' in (ROOT / "noxfile.py").read_text("utf-8")
        case ["pip", "install", what]:
            named = re.fullmatch(r'"?\.(?:\[(.+)\])?"?', what)
            assert named
            assert set((named[1] or "").split(",")) - {""} <= _extras()
        case ["clicksend-reseller", *_]:
            parsed(shlex.split(line)[1:])
        case ["export", assignment]:
            page = (ROOT / "docs/reference/environment.md").read_text("utf-8")
            assert f"`{assignment.partition('=')[0]}`" in page
        case ["curl", *options]:
            assert "/_sandbox/" in line
        case ["python", "-m", "clicksend_reseller.sandbox", *options]:
            assert [o for o in options if o.startswith("--") and o not in sandbox_help] == []
            faults = [options[n + 1] for n, o in enumerate(options) if o == "--fault"]
            assert {fault.split(":")[0] for fault in faults} <= set(KINDS)
        case _:
            pytest.fail(f"no test knows this line: {line}")


# --- tables that would otherwise fall behind the code


def _first_column(page, heading):
    text = (ROOT / "docs" / page).read_text("utf-8")
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def test_the_table_of_faults_is_complete():
    """The sandbox's page names every kind of fault, in the code's order."""
    assert list(KINDS) == _first_column("reference/sandbox.md", "Faults")


def test_the_options_of_the_sandbox_are_on_its_page(sandbox_help):
    """What `--help` offers is on the page, and nothing else is."""
    offered = set(re.findall(r"--[a-z]+", sandbox_help)) - {"--help"}
    named = _first_column("reference/sandbox.md", "Serve it")
    assert offered == {option.split()[0] for option in named}


@pytest.mark.parametrize("row", HAPPENED)
def test_the_repeat_table_says_what_the_code_does(row):
    """Each cell that begins with "again" is repeated, and no other is."""
    text = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    (line,) = re.findall(rf"^\| {row}.*\|$", text, re.MULTILINE)
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    for error in HAPPENED[row]:
        found = [repeated(error, operation) for operation in ASKED.values()]
        assert found == [cell.startswith("again") for cell in cells], error


def _text(page):
    return (ROOT / page).read_text("utf-8")


def test_the_variables_on_the_pages_are_those_that_the_code_reads():
    """All of them, each beside the argument of its name, and no other anywhere."""
    name = re.compile(r"\bCLICKSEND_[A-Z_]+")
    sources = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    read = set(name.findall(sources))
    pages = set(name.findall("".join(page.read_text("utf-8") for page in PAGES)))
    assert {each for each in pages if not each.startswith("CLICKSEND_RESELLER_")} <= read
    page = _text("docs/reference/environment.md")
    assert read <= set(name.findall(page))
    rows = re.findall(r"^\| `CLICKSEND_(\w+)` \| `(\w+)=` \|", page, re.MULTILINE)
    options = inspect.signature(clicksend_reseller.AsyncResellerClient).parameters
    assert [each.lower() for each, _ in rows] == [option for _, option in rows]
    assert {option for _, option in rows} <= set(options)
    assert ["username", "api_key", "base_url"] == [option for _, option in rows]


def test_plain_http_is_for_the_hosts_on_the_page():
    """Exactly for those: credentials go out with each request."""
    page = _text("docs/reference/environment.md")
    (named,) = re.findall(
        r"^The base URL is `https`\. Plain `http` is allowed only for (.*?), where",
        page,
        re.MULTILINE,
    )
    hosts = re.findall("`([^`]+)`", named)
    assert ["localhost", "127.0.0.1", "::1"] == hosts
    for host in hosts:
        spelled = f"[{host}]" if ":" in host else host
        _client(base_url=f"http://{spelled}/v3")
    for host in ("rest.clicksend.com", "127.0.0.2", "localhost.example.test", "[::2]"):
        with pytest.raises(clicksend_reseller.ConfigurationError):
            _client(base_url=f"http://{host}/v3")
    assert "`https`, or plain `http` on loopback" in _text("docs/SECURITY.md")


def _client(**options):
    return clicksend_reseller.AsyncResellerClient("user", "key", **options)


def test_the_times_on_the_pages_are_the_code_s():
    """How long an attempt may live beside a journal, when a row is judged, what a call may take."""
    (longest,) = re.findall(
        r"no attempt live longer than (\d+) s", _text("docs/reference/journal.md")
    )
    _client(timeout=float(longest), journal=MemoryJournal())
    with pytest.raises(clicksend_reseller.ConfigurationError, match=f"{longest} "):
        _client(timeout=float(longest) + 1, journal=MemoryJournal())
    judged = inspect.signature(SQLJournal.unresolved).parameters["older_than"].default
    ages = {float(age) for edge in EDGES for age in re.findall(r"older than (\d+) s", edge.when)}
    assert {judged} == ages
    assert judged > float(longest)
    options = inspect.signature(clicksend_reseller.AsyncResellerClient).parameters
    (said,) = re.findall(
        r"`timeout=` and `deadline=` of the client, (\d+) and (\d+) seconds",
        _text("docs/how-to/move-from-clicksend-client.md"),
    )
    assert [options["timeout"].default, options["deadline"].default] == [
        float(each) for each in said
    ]


NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


def test_the_pages_agree_how_often_the_official_client_sends():
    """As often as the log that they quote has lines, which `nox -s conformance` measures."""
    line = r"^PUT transfer-credit .*$"
    pages = ("docs/explanation/never-twice.md", "docs/how-to/move-from-clicksend-client.md")
    counts = {len(re.findall(line, _text(page), re.MULTILINE)) for page in pages}
    (times,) = counts
    word = NUMBERS[times]
    readme = _text("README.md")
    (row,) = re.findall(r"^\| a transfer whose answer is lost \| (.*?) \|", readme, re.MULTILINE)
    assert f"sent {word} times" == row
    assert [word] == re.findall(r"the official client sends it (\w+) times", readme)
    assert [word] == re.findall(r"answer is lost is sent (\w+) times", _text(pages[1]))


def test_the_reference_has_every_public_name():
    """What can be imported can be looked up."""
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
    listed = set(
        re.findall(r"^\.\. auto(?:class|exception|function):: (\w+)$", pages, re.MULTILINE)
    )
    assert [] == sorted(set(clicksend_reseller.__all__) - listed - {"__version__"})


def test_contributing_lists_every_module():
    """A new module of the package stands in the table of its layer, and no other."""
    text = (ROOT / "docs" / "CONTRIBUTING.md").read_text("utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", text, re.MULTILINE)
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    assert sorted(path.relative_to(PACKAGE).as_posix() for path in modules) == sorted(listed)


@pytest.mark.parametrize("page", PAGES, ids=_name_of)
def test_every_link_to_a_file_leads_somewhere(page):
    """Relative links work in the checkout, where no builder looks at them."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [] == [target for target in targets if not (page.parent / target).exists()]
