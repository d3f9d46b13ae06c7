import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import clicksend_reseller
from clicksend_reseller import cli

CONTRACT = [
    *("AsyncResellerClient", "httpx2_client", "to_dict", "__version__"),
    *("Account", "AccountFields", "AccountPage", "Currency", "Subaccount", "TransferReceipt"),
    *("Secret", "RetryPolicy", "Outcome", "Transfer", "CallEvent", "RateLimit"),
    *("AccountIterator", "WalkReport"),
    *("TransferJournal", "TransferState", "JournalEntry", "HTTPClient"),
    *("ResellerError", "ConfigurationError", "ClientStateError"),
    *("APIConnectionError", "APITimeoutError", "APIResponseError", "APIStatusError"),
    *("BadRequestError", "AuthenticationError", "PermissionDeniedError", "NotFoundError"),
    *("AlreadyExistsError", "InsufficientCreditError", "RateLimitError", "ServerError"),
    *("OutcomeUnknownError", "TransferOutcomeUnknownError"),
    *("JournalError", "KeyReusedError", "UnsettledTransferError"),
]

EXTRAS = {"journal", "sandbox", "cli", "fastapi", "otel"}

# What the four libraries bring with them; nothing else is there on a bare installation.
ALLOWED = {
    "clicksend_reseller",
    *("attr", "attrs", "cattrs", "httpx", "tenacity", "typing_extensions"),
    *("anyio", "certifi", "h11", "httpcore", "idna"),
}

BARE = f"""
import sys

class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {{*sys.stdlib_module_names, *{sorted(ALLOWED)}}}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Bare())
"""

LOADED = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(statement):
    """Name the modules that a statement loads in a process of its own."""
    command = [sys.executable, "-c", LOADED.format(statement=statement)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)


def test_public_names_are_the_contract():
    """Users rely on these: none goes and none comes unnoticed."""
    assert sorted(CONTRACT) == clicksend_reseller.__all__


@pytest.mark.parametrize("name", CONTRACT)
def test_every_public_name_resolves_and_says_what_it_is(name):
    """A lazy name that leads nowhere would be found by a user only."""
    value = getattr(clicksend_reseller, name)
    assert value is getattr(clicksend_reseller, name)
    assert isinstance(value, str) or value.__doc__


def test_names_are_seen_before_they_are_used():
    """Completion in an editor shell shows them."""
    assert set(CONTRACT) <= set(dir(clicksend_reseller))
    assert sorted(dir(clicksend_reseller)) == dir(clicksend_reseller)


@pytest.mark.parametrize("name", ["Nonsense", "errors_", "_no_such_room"])
def test_other_names_are_attribute_errors(name):
    """`hasattr` and `import` rely on the right exception."""
    message = f"module 'clicksend_reseller' has no attribute '{name}'"
    with pytest.raises(AttributeError, match=re.escape(message)):
        getattr(clicksend_reseller, name)


def test_star_gives_the_public_names():
    """What a star gives is the contract and no module of the package."""
    scope: dict[str, object] = {}
    exec("from clicksend_reseller import *", scope)  # noqa: S102 - the statement is the test
    assert set(CONTRACT) == set(scope) - {"__builtins__"}


def test_version_is_a_release_number():
    """It stands in the User-Agent and on the index."""
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", clicksend_reseller.__version__)


def test_importing_the_package_loads_no_library_and_no_module():
    """A command that only prints its help pays nothing."""
    loaded = loaded_by("import clicksend_reseller")
    assert ["clicksend_reseller"] == [name for name in loaded if not is_standard(name)]


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("Outcome", {"models", "_model", "_secret"}),
        ("ServerError", {"errors", "models", "_model", "_secret"}),
        ("__version__", {"_version"}),
    ],
)
def test_a_name_loads_its_own_modules_only(name, modules):
    """Who handles errors in a worker needs no HTTP library there."""
    loaded = loaded_by(f"from clicksend_reseller import {name}")
    prefix = "clicksend_reseller."
    assert modules == {each.removeprefix(prefix) for each in loaded if each.startswith(prefix)}
    assert not {"httpx", "cattrs", "tenacity"} & set(loaded)


def test_the_whole_core_needs_four_libraries_and_no_extra():
    """An extra that is not installed is not missed until it is used."""
    loaded = loaded_by(f"{BARE}\nfrom clicksend_reseller import *")
    tops = {name.partition(".")[0] for name in loaded if not is_standard(name)}
    assert tops <= ALLOWED
    assert {"attr", "httpx"} <= tops  # the others wait until they are needed
    modules = {name.split(".")[1] for name in loaded if name.startswith("clicksend_reseller.")}
    assert "client" in modules
    assert not modules & EXTRAS


def is_standard(name):
    """Tell whether a module is the standard library's own."""
    return name.partition(".")[0] in {*sys.stdlib_module_names, "__mp_main__"}


def test_importing_the_client_loads_no_library_that_its_first_call_may_not_need():
    """tenacity waits for a failure, cattrs for an answer, httpcore for a connection."""
    loaded = loaded_by("from clicksend_reseller import AsyncResellerClient")
    assert not {"cattrs", "httpcore", "tenacity"} & set(loaded)


def test_the_command_line_brings_the_journal_that_it_always_keeps():
    """And each part that it looks for at its start."""
    root = Path(__file__).resolve().parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert set(extras["journal"]) <= set(extras["cli"])
    brought = {re.split(r"[\[><=]", requirement)[0] for requirement in extras["cli"]}
    assert set(cli._PARTS) == brought
