"""How is this project tried, tested, checked and built? `python3 noxfile.py -l` lists the ways.

Nothing but Python is needed: where nox is missing, this file installs it under .nox/.bootstrap
and runs itself again with it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Generator
from pathlib import Path

HERE = Path(__file__).resolve().parent
NEEDS_NOX = ">=2025.5.1"


def bootstrap() -> None:
    """Replace this process by one that has nox."""
    if sys.version_info < (3, 11):  # noqa: UP036 - a stranger's python3 may be older than ours
        sys.exit(f"Python 3.11 or newer is needed, and this is {sys.version.split()[0]}")
    home = HERE / ".nox" / ".bootstrap"
    python = python_in(home)
    if not python.exists():
        install_nox(home)
    command = [str(python), "-m", "nox", "-f", str(HERE / "noxfile.py"), *sys.argv[1:]]
    if os.name == "posix":
        os.execv(python, command)  # noqa: S606 - ourselves, so that Ctrl-C reaches one process
    sys.exit(subprocess.call(command))


def python_in(home: Path) -> Path:
    """Name the interpreter of an environment; another Python's environment does not have it."""
    if os.name == "nt":
        return home / "Scripts" / "python.exe"
    return home / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def install_nox(home: Path) -> None:
    """Make the environment under a temporary name: a half-made one is never taken for whole."""
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian keeps both apart from python3
        import venv  # noqa: PLC0415
    except ImportError:
        sys.exit(
            "This Python cannot make virtual environments, which nox needs.\n"
            "On Debian and Ubuntu: apt install python3-venv. Or install nox yourself (pipx, uv)."
        )
    print(f"Setting up nox in {home} (once)", file=sys.stderr, flush=True)
    home.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".bootstrap-", dir=home.parent, ignore_cleanup_errors=True
    ) as making:
        venv.create(making, with_pip=True)
        pip = [str(python_in(Path(making))), "-m", "pip", "--disable-pip-version-check"]
        if subprocess.call([*pip, "install", "--quiet", f"nox{NEEDS_NOX}"]):
            sys.exit("nox could not be installed; pip says why above.")
        if python_in(home).exists():
            return  # another run was quicker
        shutil.rmtree(home, ignore_errors=True)  # made by another Python
        Path(making).rename(home)


try:
    import nox
    from nox.project import dependency_groups, load_toml, python_versions
except ImportError:  # no nox, or one too old to have these
    if __name__ != "__main__":
        raise
    bootstrap()

nox.needs_version = NEEDS_NOX
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "imports", "types", "tests"]

PYPROJECT = load_toml(HERE / "pyproject.toml")
PACKAGE = "clicksend_reseller"
EXTRAS = "cli,fastapi,httpx2,journal,otel,sandbox"

# Python versions that the package says it is for; the suite runs on each that is found.
PYTHONS = python_versions(PYPROJECT)

# The checkout holds a folder of the package's name: nothing may import it in place of the wheel.
# The tests compare what they import with it, and under this variable refuse the tree itself.
WHEEL_ONLY = {
    "PYTHONSAFEPATH": "1",
    "PYTHONPATH": None,
    "CLICKSEND_RESELLER_WHEEL": "1",
    # Tests start some thousand processes, and each would compile again all that it imports.
    "PYTHONDONTWRITEBYTECODE": None,
}
PUBLIC_TYPES = "tests/public_types.py"
# Percent of lines and branches of the core that the tests must reach.
CORE_COVERAGE = 100
# The core is what is no extra, so that a new folder of the core is counted from its first line.
EXTRA_FILES = (
    f"{PACKAGE}/cli/**",
    f"{PACKAGE}/fastapi.py",
    f"{PACKAGE}/journal/**",
    f"{PACKAGE}/otel.py",
    f"{PACKAGE}/sandbox/**",
)

CORE = (f"--include={PACKAGE}/**", f"--omit={','.join(EXTRA_FILES)}")

# One worker more than there are cores: one waits for the browser, another for PostgreSQL. A line of
# dots, and the slowest tests at the end.
IN_PARALLEL = (
    *("-n", str(min((os.cpu_count() or 1) + 1, 8)), "--dist", "loadgroup"),
    *("-p", "support.progress", "--durations", "10", "--durations-min", "1"),
)
# What touches an HTTP library, or is given one: the rest is the same on both families.
ON_BOTH_FAMILIES = (
    "tests/_calls",
    "tests/_http",
    "tests/promises",
    "tests/sandbox/test_pytest_plugin.py",
    "tests/sandbox/test_transport.py",
    "tests/test_client.py",
    "tests/test_fastapi.py",
    "tests/test_otel.py",
    "tests/test_paging.py",
    "tests/test_paging_ends.py",
)

CORE_STORY = f"""
import asyncio, importlib.util, sys
import {PACKAGE} as package

def check(holds, otherwise):  # an assert would go under -OO
    if not holds:
        sys.exit(str(otherwise))

for name in package.__all__:
    getattr(package, name)
loaded = [name for name in sys.modules if name.startswith("{PACKAGE}.sandbox")]
check(not loaded, loaded)
for name in ("starlette", "uvicorn", "httpx2", "fastapi", "sqlalchemy"):
    check(importlib.util.find_spec(name) is None, name + " is here: this proves nothing")

from {PACKAGE}.sandbox import Sandbox

async def story():
    async with Sandbox().client() as client:
        accounts = [account async for account in client.iter_accounts()]
        receipt = await client.transfer_credit(accounts[0].user_id, 12, "AUD")
        check(receipt.account.balance == accounts[0].balance + 12, receipt)
        print("the core alone:", len(accounts), "accounts listed, 12 AUD moved")

asyncio.run(story())
"""


@nox.session(requires=["wheel"])
def demo(session: nox.Session) -> None:
    """Meet the SDK: a sandbox on loopback, and a client that walks through the whole story."""
    install_wheel(session, "sandbox")
    session.run("python", "docs/examples/demo.py", *session.posargs, env=WHEEL_ONLY)


@nox.session(requires=["wheel"])
def portal(session: nox.Session) -> None:
    """Top up a sandbox's clients in a browser: serves both, and prints their addresses."""
    install_wheel(session, "fastapi,journal,sandbox", "portal")
    with tempfile.TemporaryDirectory() as folder, sandbox_beside(session) as account:
        journal = {"PORTAL_JOURNAL": f"sqlite+aiosqlite:///{folder}/portal.db"}
        env = {**WHEEL_ONLY, **account, **journal}
        session.run("python", "docs/examples/portal/app.py", env=env)


@nox.session(requires=["wheel"])
def tests(session: nox.Session) -> None:
    """Test the installed wheel; arguments after -- go to pytest."""
    install_wheel(session, EXTRAS, "tests")
    session.run("coverage", "erase", silent=True)
    measured = ("coverage", "run", "-m", "pytest", *IN_PARALLEL, *session.posargs)
    # Who names tests wants to see what they reach; the gate is about the core alone.
    scope = "all" if session.posargs else "core"
    env = {**WHEEL_ONLY, "PYTHONPATH": "tests", "CLICKSEND_RESELLER_COVERAGE": scope}
    session.run(*measured, env=env)
    # Silent, so that pytest's closing line stays the last; `nox -s coverage` shows the figures.
    session.run("coverage", "combine", "--quiet", silent=True)
    if not session.posargs:
        session.run("coverage", "report", *CORE, f"--fail-under={CORE_COVERAGE}", silent=True)


@nox.session(requires=["wheel"], name="tests(httpx2)")
def tests_httpx2(session: nox.Session) -> None:
    """Test what can differ on httpx2: the core, the sandbox in process, FastAPI."""
    install_wheel(session, EXTRAS, "tests")
    # The alias loads before pytest reads its paths.
    env = {**WHEEL_ONLY, "PYTHONPATH": "tests"}
    alias = ("-p", "support.httpx2_alias", *IN_PARALLEL)
    session.run("pytest", *alias, *(session.posargs or ON_BOTH_FAMILIES), env=env)


def pythons(session: nox.Session) -> None:
    """Test the wheel on each supported Python that is found; the others are skipped by name."""
    if session.python is False:
        session.skip(f"{session.name.partition('-')[2]} is not on this machine")
    install_wheel(session, EXTRAS, "tests")
    run_tests(session)


def run_tests(session: nox.Session, *options: str) -> None:
    """Run the suite in parallel, without measuring; what this prints is pytest's own."""
    env = {**WHEEL_ONLY, "PYTHONPATH": "tests"}
    session.run("python", "-m", "pytest", *IN_PARALLEL, *options, *session.posargs, env=env)


def interpreter(version: str) -> str | None:
    """Find a Python that starts; a version manager may keep it behind a name that does not."""
    manager = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    kept = sorted(manager.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)
    for found in (shutil.which(f"python{version}"), *map(str, kept)):
        command = [found or "", "-c", ""]
        if found and not subprocess.run(command, capture_output=True, check=False).returncode:
            return found
    return None


for version in PYTHONS:
    nox.session(
        python=interpreter(version) or False,
        name=f"pythons-{version}",
        requires=["wheel"],
        tags=["pythons"],  # all of them: `-t pythons`
    )(pythons)


@nox.session(requires=["wheel"])
def tests_lowest(session: nox.Session) -> None:
    """Test the wheel with the oldest versions of its dependencies that are allowed."""
    oldest = Path(session.create_tmp()) / "oldest.txt"
    oldest.write_text("".join(f"{line}\n" for line in lowest(EXTRAS)), "utf-8")
    install_wheel(session, EXTRAS, "tests", constraints=oldest)
    # They use what the newest versions of other libraries have deprecated.
    run_tests(session, "-W", "ignore::DeprecationWarning")


@nox.session(requires=["wheel"])
def tests_latest(session: nox.Session) -> None:
    """Test the wheel with the newest dependencies, pre-releases too: an early warning, no gate."""
    install_wheel(session, EXTRAS, "tests")
    session.install("--upgrade", "--pre", *runtime(EXTRAS))  # within our ranges
    run_tests(session)


@nox.session(requires=["wheel"])
def heavy(session: nox.Session) -> None:
    """Run the heavy tests with their full numbers (minutes)."""
    install_wheel(session, EXTRAS, "tests")
    full = {**WHEEL_ONLY, "CLICKSEND_RESELLER_HEAVY": "1"}
    # The property tests run 20,000 examples then, which takes some of them half an hour.
    chosen = ("-m", "heavy or hypothesis", "--timeout", "3600")
    session.run("python", "-m", "pytest", *chosen, *session.posargs, env=full)


@nox.session
def coverage(session: nox.Session) -> None:
    """Show which lines and branches of the core the last run of `tests` did not reach.

    Of an extra too, where `tests` was run with arguments: `-- --include='*/cli/*'`.
    """
    session.install("coverage")
    session.run("python", "-m", "coverage", "report", *(session.posargs or CORE))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format (ruff), and the workflows (zizmor)."""
    session.install(*dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("zizmor", "--offline", "--no-progress", "--persona=pedantic", ".github")


@nox.session
def imports(session: nox.Session) -> None:
    """Check the layers: imports go down only, every file has a layer, no cycle of files."""
    session.install(*dependency_groups(PYPROJECT, "imports"))
    session.run("lint-imports", "--no-logo", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types: mypy and pyright, both strict; the public ones with pyrefly too."""
    groups = dependency_groups(PYPROJECT, "docs", "tests", "types")
    session.install(*runtime(EXTRAS), *groups, "nox")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", PUBLIC_TYPES)
    session.run("pyrefly", "check", PUBLIC_TYPES)
    # Every public name has a type that needs no guess, in a package that nobody installed.
    whole = ("--verifytypes", PACKAGE, "--ignoreexternal")
    session.run("pyright", *whole, env={"PYTHONPATH": str(HERE)}, silent=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site; check its links, its search and whether everybody can read it."""
    session.install(*runtime(EXTRAS), *dependency_groups(PYPROJECT, "docs"))
    site = Path(session.create_tmp()) / "html"
    shutil.rmtree(site, ignore_errors=True)  # pages that are gone, and an index in part
    session.run("python", "-m", "sphinx", "-nW", "--keep-going", "-q", "docs", str(site))
    session.run("python", "docs/check_site.py", str(site))
    session.run("python", "docs/check_search.py", str(site))
    session.log(f"open {(site / 'index.html').resolve().as_uri()}")


@nox.session(requires=["wheel"])
def console_picture(session: nox.Session) -> None:
    """Take the docs' pictures of the sandbox's console and of the portal, in Chromium."""
    install_wheel(session, EXTRAS, "tests")
    files = ("tests/sandbox/test_console_in_chromium.py", "tests/recipes/test_portal.py")
    story = (*files, "-k", "picture", "-q")
    session.run(
        "python", "-m", "pytest", *story, env={**WHEEL_ONLY, "CLICKSEND_RESELLER_PICTURES": "1"}
    )


@nox.session(requires=["wheel"])
def bench(session: nox.Session) -> None:
    """Measure the SDK beside others and write docs/benchmarks.*; `-- --quick` only looks."""
    install_wheel(session, "journal", "bench")
    official = install_official(session)
    openapi = install_apart(session, "openapi-python-client", "openapi")
    # The folder holds the package `bench`, and none of the name of the wheel's.
    env = {**WHEEL_ONLY, "PYTHONPATH": str(HERE / "tests")}
    options = ("--official", str(official), "--openapi", str(openapi), *session.posargs)
    session.run("python", "-m", "bench", *options, env=env)


@nox.session(requires=["wheel"])
def conformance(session: nox.Session) -> None:
    """Let the official SDK and schemathesis use the sandbox, and hold it to its description."""
    install_wheel(session, "sandbox", "conformance")
    env = {**WHEEL_ONLY, "CLICKSEND_RESELLER_OFFICIAL": str(install_official(session))}
    # schemathesis is run as a program, so its plugin is not needed; nor is what other tests are.
    place = ("--confcutdir=tests/conformance", "tests/conformance")
    options = ("-p", "no:schemathesis", *place, *session.posargs)
    session.run("python", "-m", "pytest", *options, env=env)


@nox.session
def mutants(session: nox.Session) -> None:
    """Break the money rules one line at a time; list the breaks that no test notices."""
    session.install(*runtime(EXTRAS), *dependency_groups(PYPROJECT, "tests", "mutants"))
    session.run("python", "-m", "mutmut", "run", *session.posargs)
    session.run("python", "-m", "mutmut", "results")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and the sdist that the other sessions take."""
    session.install(*PYPROJECT["build-system"]["requires"])
    shutil.rmtree(artefacts(), ignore_errors=True)
    session.run("python", "-m", "hatchling", "build", "-d", str(artefacts()), silent=True)


@nox.session(requires=["wheel"])
def package(session: nox.Session) -> None:
    """Check what would be published: the wheel's files, the sdist, the core's dependencies."""
    (sdist,) = artefacts().glob("*.tar.gz")
    wheel_files = zipfile.ZipFile(the_wheel()).namelist()
    version = the_wheel().name.split("-")[1]
    info = f"{PACKAGE}-{version}.dist-info/"
    strangers = [name for name in wheel_files if not name.startswith((f"{PACKAGE}/", info))]
    missing = {f"{PACKAGE}/py.typed", f"{info}licenses/LICENSE"}.difference(wheel_files)
    if strangers or missing:
        session.error(f"the wheel holds {strangers} and lacks {missing}")

    session.install(*PYPROJECT["build-system"]["requires"])
    unpacked = Path(session.create_tmp()) / "sdist"
    shutil.rmtree(unpacked, ignore_errors=True)
    shutil.unpack_archive(sdist, unpacked)
    (tree,) = unpacked.iterdir()
    with session.chdir(tree):
        session.run("python", "-m", "hatchling", "build", "-t", "wheel", silent=True)
    (second,) = (tree / "dist").glob("*.whl")
    if zipfile.ZipFile(second).namelist() != wheel_files:
        session.error("the sdist builds another wheel than the checkout")
    session.log(f"{len(wheel_files)} files in the wheel, the same from the sdist")


@nox.session(requires=["wheel"])
def core_only(session: nox.Session) -> None:
    """Use the wheel with its four dependencies and no extra; a warning is an error."""
    install_wheel(session)
    for options in (("-W", "error"), ("-W", "error", "-OO")):  # without docstrings and asserts too
        session.run("python", *options, "-c", CORE_STORY, env=WHEEL_ONLY, log=False)


@contextlib.contextmanager
def sandbox_beside(session: nox.Session) -> Generator[dict[str, str]]:
    """Serve a sandbox, print where its console is, and give the variables that lead to it."""
    python = str(python_in(Path(session.virtualenv.location)))
    command = [python, "-m", f"{PACKAGE}.sandbox", "--port", "0"]
    env = {**os.environ, "PYTHONSAFEPATH": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            _url, console, export = itertools.islice(process.stdout or (), 3)
            print(f"sandbox: {console}", end="", flush=True)
            yield dict(word.split("=", 1) for word in export.split()[1:])
        finally:
            process.terminate()


def artefacts() -> Path:
    """Say where the session `wheel` puts what it builds."""
    return HERE / ".nox" / "dist"


def the_wheel() -> Path:
    """Find the one wheel that the session `wheel` built."""
    (built,) = artefacts().glob("*.whl")
    return built


def install_wheel(
    session: nox.Session, extras: str = "", *groups: str, constraints: Path | None = None
) -> None:
    """Install the wheel with its extras and the groups, and prove that it is what gets imported."""
    built = str(the_wheel())
    wanted = f"{built}[{extras}]" if extras else built
    limits = ("--constraint", str(constraints)) if constraints else ()
    session.install(wanted, *dependency_groups(PYPROJECT, *groups), *limits)
    # The version stays the same while the code changes, so an older build must be replaced.
    session.install("--force-reinstall", "--no-deps", built)
    where = f"import {PACKAGE}; print({PACKAGE}.__file__)"
    imported = str(session.run("python", "-c", where, env=WHEEL_ONLY, silent=True))
    if Path(session.virtualenv.location).resolve() not in Path(imported).resolve().parents:
        session.error(f"this is not the wheel: {imported}")


def install_official(session: nox.Session) -> Path:
    """Give the interpreter of an environment that has the official SDK, which needs its own."""
    return install_apart(session, "official-sdk", "official")


def install_apart(session: nox.Session, name: str, group: str) -> Path:
    """Give the interpreter of an environment inside the session's, with a group of its own."""
    python = python_in(Path(session.virtualenv.location) / name)
    if not python.exists():
        session.run("python", "-m", "venv", str(python.parents[1]))
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    session.run(*pip, *dependency_groups(PYPROJECT, group), external=True)
    return python


def lowest(extras: str) -> list[str]:
    """Pin what the package and its extras depend on to the lowest of each range."""
    pinned = [re.sub(r"\[.*\]", "", line).partition(",")[0] for line in runtime(extras)]
    return [line.replace(">=", "==") for line in pinned]


def runtime(extras: str) -> list[str]:
    """List what the package and its extras depend on, for sessions that read the checkout."""
    project = PYPROJECT["project"]
    optional = [project["optional-dependencies"][extra] for extra in extras.split(",")]
    return [*project["dependencies"], *(line for lines in optional for line in lines)]


if __name__ == "__main__":
    os.chdir(HERE)
    nox.main()
