"""Every message that a person may meet has an entry in Troubleshooting."""

import ast
import re
from pathlib import Path

import pytest

from clicksend_reseller import AsyncResellerClient, ConfigurationError, errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
FAMILIES = {
    "ClientStateError",
    "ConfigurationError",
    "JournalError",
    "KeyReusedError",
    "UnsettledTransferError",
}
BAD_URLS = [
    "",
    "https://a b",
    "https://[",
    "https://user:word@example.com",
    "https://example.com?page=1",
    "https://example.com:0",
    "https://example.com:99999",
    "ftp://example.com",
    "https://-",
    "http://example.com",
    "https://example.com/../v3",
]


def entries():
    """Give the messages in the page's tables, values as an ellipsis."""
    return re.findall(r"`([^`]+)`", PAGE.read_text("utf-8"))


def written(node, constants):
    """Read a message from the source: its values become an ellipsis."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return constants.get(name)
        case ast.JoinedStr(values=parts):
            return "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in parts)
    return None


def messages():
    """Yield each error that the package raises with a message of its own."""
    for path in sorted((ROOT / "clicksend_reseller").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            node.targets[0].id: written(node.value, {})
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in FAMILIES:
                    message = written(first, constants)
                    if message and re.search(r"\w", message):
                        yield pytest.param(message, id=f"{name}: {message}")


def begins(message, entry):
    """Return True if the entry is the message, or its first three words and more."""
    return message == entry or (len(entry.split()) > 2 and message.startswith(entry))


@pytest.mark.parametrize("message", list(messages()))
def test_every_message_has_an_entry(message):
    """Who pastes a message into the search finds what it means and what to do."""
    assert [entry for entry in entries() if begins(message, entry)], message


@pytest.mark.parametrize("url", BAD_URLS)
def test_every_fault_of_a_base_url_has_an_entry(url):
    """Its message is put together from a name, a value and a fault."""
    with pytest.raises(ConfigurationError) as raised:
        AsyncResellerClient("user", "key", base_url=url)
    fault = re.sub(r"^base_url(?: '[^']*')? ", "", raised.value.message)
    named = re.split(r": |, because", fault)[0]
    assert [entry for entry in entries() if entry.removeprefix("base_url … ").startswith(named)]


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_an_entry(name):
    """A class that is added is explained."""
    headings_and_rows = re.findall(r"^(?:##.*|\| )`(\w+)`", PAGE.read_text("utf-8"), re.MULTILINE)
    assert name in headings_and_rows
