"""What does a call of a generated client cost? It is made anew for each run and not kept.

openapi-python-client makes it from the sandbox's description of the API. It decodes what that
describes, and repeats nothing.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from bench import calls
from bench.measure import Effort, Figure, answer_of, interleave, ratio
from bench.measure import cpu_of_call as ours
from bench.server import Address
from clicksend_reseller.sandbox.openapi.description import describe

SCRIPT = Path(__file__).with_name("openapi_calls.py")


async def figures(server: Address, effort: Effort, python: Path | None) -> list[Figure]:
    """Measure its calls beside ours."""
    if python is None:
        return []
    with tempfile.TemporaryDirectory(prefix="openapi-") as folder:
        _generate(python, Path(folder))
        return await _beside_ours(server, effort, (str(python), str(SCRIPT), folder))


async def _beside_ours(server: Address, effort: Effort, command: tuple[str, ...]) -> list[Figure]:
    theirs = await asyncio.create_subprocess_exec(
        *command, server.base_url(), stdin=PIPE, stdout=PIPE
    )
    asked = effort.calls
    async with calls.ours(server) as one, calls.ours(server, 50) as many:
        seconds = await interleave(
            {
                "ours, 1": lambda: ours(one, calls=asked, at_once=1),
                "theirs, 1": lambda: answer_of(theirs, f"{asked} 1"),
                "ours, 50": lambda: ours(many, calls=asked, at_once=50),
                "theirs, 50": lambda: answer_of(theirs, f"{asked} 50"),
            },
            rounds=effort.share(0.5),
        )
    await theirs.communicate(b"")
    return [
        ratio(
            f"CPU of `get_account`, {tasks}",
            seconds[f"ours, {at_once}"],
            seconds[f"theirs, {at_once}"],
            against="a client that openapi-python-client made",
        )
        for tasks, at_once in (("one at a time", 1), ("50 at once", 50))
    ]


def _generate(python: Path, folder: Path) -> None:
    description = folder / "openapi.json"
    description.write_text(json.dumps(_readable(describe(["AUD", "USD"]))), "utf-8")
    generate = (str(python), "-m", "openapi_python_client", "generate", "--meta", "none")
    place = ("--path", str(description), "--output-path", str(folder / "generated"))
    subprocess.run([*generate, *place], check=True, stdout=subprocess.DEVNULL)


def _readable(schema: Any) -> Any:
    """Name the items of each array: this generator drops a schema in which one has none."""
    match schema:
        case {"type": "array" | ["array", *_] | [_, "array", *_]}:
            parts: dict[str, Any] = {"items": {}, **schema}
            return {name: _readable(part) for name, part in parts.items()}
        case dict():
            return {name: _readable(part) for name, part in schema.items()}
        case list():
            return list(map(_readable, schema))
        case _:
            return schema
