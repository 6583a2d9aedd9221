"""Everything that is run on this project; `nox` alone runs what a change must pass.

Tests import the wheel that a user would install, never the tree.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import time
from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "package", "tests", "minimal", "lowest", "load"]
nox.options.download_python = "never"
# An interpreter of the matrix that is not here is skipped, with nox's own message.
nox.options.error_on_missing_interpreters = False

PYPROJECT = nox.project.load_toml("pyproject.toml")
MATRIX = nox.project.python_versions(PYPROJECT)
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
# The interpreter that runs nox comes first, be it in the project's matrix or not.
PYTHONS = list(dict.fromkeys([RUNNING, *MATRIX]))

# Every branch of these is run by the tests; of the whole package, nearly every one.
COVERED_WHOLLY = (
    "_decision/*",
    *(
        f"_policy/{name}"
        for name in ("policy", "header_key", "key_values", "problem_collector", "paths")
    ),
    *(f"_policy/{name}" for name in ("public_suffixes", "strangers", "other_libraries")),
    *(f"_policy/{name}" for name in ("origins", "origin_set", "origin_checks", "option_values")),
    *(
        f"_policy/{name}"
        for name in ("hosts", "regex", "headers", "rules", "rule_map", "covered_urls")
    ),
    *("asgi/*", "wsgi", "browser/*"),
)
COVERED_OVERALL = 95
# What a plain install, without any extra, must pass.
CORE_TESTS = tuple(
    f"tests/test_{name}.py"
    for name in (
        *("imports", "errors", "headers", "paths", "key_check"),
        *("engine", "asgi", "wsgi", "browser", "package"),
    )
)
PACKAGED_TESTS = tuple(
    f"tests/test_{name}.py" for name in ("imports", "package", "engine", "asgi", "wsgi")
)
# What depends on the versions of the dependencies: the adapters, the pod, the toolbox.
VERSION_TESTS = (
    *CORE_TESTS,
    *(
        f"tests/test_{name}.py"
        for name in (
            *("app", "cli", "config", "explain", "fetch", "fix", "flask", "hooks", "lint"),
            "origins",
        )
    ),
    *(
        f"tests/test_{name}.py"
        for name in ("policy", "regressions", "rulefile", "rules", "secrets", "starlette", "wrap")
    ),
    *map(str, sorted(Path("tests").glob("test_dummy_*.py"))),
)


# The files with tests that put the pod under load.
LOAD_TESTS = tuple(
    str(file)
    for file in sorted(Path("tests").glob("**/test_*.py"))
    if "pytest.mark.load" in file.read_text(encoding="utf-8")
)
# What is the same on every Python: pages, files for other programs, tools of this project, and long
# searches in the mesh's models, whose shorter tests run everywhere. The first Python runs them.
RUN_ONCE = tuple(
    f"tests/test_{name}.py"
    for name in (
        *("alerts", "architecture", "bench_scripts", "chart", "docs", "kubernetes", "links"),
        *("lint_in_ci", "mesh_docs", "mutants", "names", "picture", "quick", "readme", "release"),
        *("security_page", "side_by_side"),
        *("explain_generated", "fix_neighbours", "mesh_index", "render_beside"),
    )
)
# Where a property looks for an example that breaks it.
PROPERTY_TESTS = tuple(
    str(file)
    for file in sorted(Path("tests").glob("test_*.py"))
    if "from hypothesis import" in file.read_text(encoding="utf-8")
)
# On as many processes as there are cores; tests/conftest.py says what never runs side by side. A
# process that ends early is a failure, not replaced.
SIDE_BY_SIDE = ("--numprocesses=auto", "--max-worker-restart=0")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, layers and types."""
    session.install(".[all]", *group("lint"), *group("minimal"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run(
        *("mypy", "src", "examples", "noxfile.py"),
        *(".ci/readme_links.py", ".ci/check_release.py", ".ci/kubectl.py"),
    )
    session.run("pyright", "src", "examples")
    session.run("pytest", "tests/test_types.py")


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it, into dist/; check them, and test the wheel."""
    session.install(*group("package"), *group("minimal"))
    dist = Path("dist")
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", silent=True)
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", str(wheel))
    temporary = session.create_tmp()
    shutil.rmtree(temporary)
    with tarfile.open(sdist) as archive:
        archive.extractall(temporary, filter="data")
    (unpacked,) = Path(temporary).iterdir()
    check_sdist(session, unpacked)
    session.install("--force-reinstall", str(wheel))
    with session.chdir(unpacked):
        session.run("python", "-c", IS_INSTALLED)
        # `minimal` runs all of the core's; here it is about what the sdist and its wheel have.
        session.run("pytest", *PACKAGED_TESTS)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; those with an Envoy or a browser on the interpreter that runs nox alone."""
    install_wheel(session, "[all]", *group("test"))
    if session.posargs:
        session.run("pytest", *session.posargs)
    elif session.python != RUNNING:
        ignored = (f"--ignore={name}" for name in ("tests/e2e", *RUN_ONCE))
        session.run("pytest", *SIDE_BY_SIDE, *ignored, env={"EXAMPLES": "few"})
    else:
        session.run("coverage", "erase")
        session.run("coverage", "run", "-m", "pytest", *SIDE_BY_SIDE, "--ignore=tests/e2e")
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report", f"--fail-under={COVERED_OVERALL}")
        wholly = ",".join(f"*/meshcors/{module}.py" for module in COVERED_WHOLLY)
        session.run("coverage", "report", f"--include={wholly}", "--fail-under=100")
        # Not measured: it would take three times as long, and the others run the same branches.
        session.run("pytest", *SIDE_BY_SIDE, "tests/e2e")


@nox.session
def minimal(session: nox.Session) -> None:
    """Run what needs no extra on a plain install."""
    install_wheel(session, "", *group("minimal"))
    session.run("python", "-m", "meshcors.dummy", "--help", silent=True)
    session.run("pytest", *CORE_TESTS)


@nox.session(python=MATRIX[0])
def lowest(session: nox.Session) -> None:
    """Run the core's and the pod's tests on the lowest versions that pyproject.toml allows."""
    project = PYPROJECT["project"]
    bounded = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    # The frameworks that have adapters: they are no dependencies, but have lowest versions too.
    bounded += [
        each for each in group("lowest") if each.startswith(("aiohttp", "fastapi", "flask"))
    ]
    pins = dict.fromkeys(lowest_version(each) for each in bounded if "meshcors" not in each)
    install_wheel(session, "[all]", *group("lowest"), *pins)
    # Of the AnyIO that goes with these the plugin for pytest is too old.
    session.run("pytest", "-p", "no:anyio", *(session.posargs or (*SIDE_BY_SIDE, *VERSION_TESTS)))


@nox.session
def bench(session: nox.Session) -> None:
    """Print the benchmarks' tables; `-- --write` renews those of the docs, and their pictures."""
    install_wheel(session, "[all]", *group("bench"))
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session
def bounds(session: nox.Session) -> None:
    """Fail when meshcors takes more than a tenth over its bounds, beside its peers."""
    install_wheel(session, "[all]", *group("bench"))
    session.run("python", "-m", "tests.bench.bounds", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Tell which small faults of the decision core no unit test would notice."""
    install_wheel(session, "[all]", *group("test"))
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session
def search(session: nox.Session) -> None:
    """Try the properties with many new examples, and fix many new files."""
    install_wheel(session, "[all]", *group("test"))
    seed = str(time.time_ns())
    session.run(
        *("pytest", *SIDE_BY_SIDE),
        *(session.posargs or (*PROPERTY_TESTS, "tests/e2e/test_fix_on_envoy.py")),
        env={"EXAMPLES": "search", "FIX_FILES": "600", "FIX_SEED": seed},
    )


@nox.session
def load(session: nox.Session) -> None:
    """Run the tests that put the pod under load."""
    install_wheel(session, "[dummy]", *group("lowest"))
    session.run("pytest", "-m", "load", *LOAD_TESTS, *session.posargs)


@nox.session
def stacks(session: nox.Session) -> None:
    """Run model servers inside meshcors, and write the page on them; `-- NAME` runs one."""
    wheel = install_wheel(session, "", *group("stacks"))
    session.run("python", "-m", "tests.stacks", f"--wheel={wheel}", *session.posargs)


def check_sdist(session: nox.Session, unpacked: Path) -> None:
    """Hold what is in the sdist to what Git tracks, where there is a checkout."""
    if not Path(".git").exists():
        session.log("No Git checkout: nothing to compare the sdist's files with.")
        return
    listed = session.run("git", "ls-files", "-z", "--", external=True, silent=True, log=False)
    tracked = set(str(listed).rstrip("\0").split("\0"))
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    files = {name for name in found if (unpacked / name).is_file()} - {"PKG-INFO"}
    if files != tracked:
        session.error(
            f"not in the sdist: {sorted(tracked - files)}; not in Git: {sorted(files - tracked)}"
        )


def group(name: str) -> tuple[str, ...]:
    """Return what a dependency group of pyproject.toml asks for."""
    return nox.project.dependency_groups(PYPROJECT, name)


def lowest_version(requirement: str) -> str:
    """Pin a requirement to its lower bound; each has one."""
    parsed = Requirement(requirement)
    (bound,) = (each.version for each in parsed.specifier if each.operator == ">=")
    return f"{parsed.name}=={bound}"


def install_wheel(session: nox.Session, extras: str, *requirements: str) -> Path:
    """Install the wheel, so that nothing is found that is not in it; return its path."""
    wheel = built_wheel(session)
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}{extras}", *requirements)
    session.run("python", "-c", IS_INSTALLED)
    return wheel


_built: list[Path] = []


def built_wheel(session: nox.Session) -> Path:
    """Build the wheel, once for all sessions of this run: it is the same on every Python."""
    if not _built:
        dist = Path(session.virtualenv.location, "dist")
        shutil.rmtree(dist, ignore_errors=True)
        session.run_install("pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={dist}", ".")
        _built.extend(dist.glob("meshcors-*.whl"))
    (wheel,) = _built
    return wheel


IS_INSTALLED = """
import sysconfig
from pathlib import Path
import meshcors
installed = Path(sysconfig.get_path("purelib"), "meshcors", "__init__.py")
assert Path(meshcors.__file__).samefile(installed), f"the tests would import {meshcors.__file__}"
"""
