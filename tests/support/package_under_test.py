"""The check that the tests import the package of this checkout.

A run on an older wheel, or on the tree where the wheel was meant, proves nothing about what would
be published. A version says nothing here: it stays the same while the code changes.
"""

from pathlib import Path

# Set by noxfile.py for its sessions: what they import must be installed.
GATE = "CLICKSEND_RESELLER_WHEEL"
_SHOWN = 5


def fault_of_package(imported: Path, tree: Path, *, is_gate: bool) -> str:
    """Say why a package must not be tested; empty where nothing is wrong.

    Args:
        imported: the folder that `import` found.
        tree: the folder in the checkout.
        is_gate: the wheel is meant, so that the tree itself will not do.
    """
    if imported.resolve() == tree.resolve():
        return f"these tests are for the wheel, and {imported} is the tree" if is_gate else ""
    found, wanted = _files(imported), _files(tree)
    differing = sorted(name for name in found | wanted if found.get(name) != wanted.get(name))
    if not differing:
        return ""
    names = ", ".join(differing[:_SHOWN])
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return f"{imported} is not this checkout's package: {names}{more}; install it again"


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
