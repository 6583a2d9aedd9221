"""What type checkers and editors say of the public interface: mistakes show before the run."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

import meshcors
from meshcors import HeaderKey, Policy, Rule, RuleSet
from meshcors._policy import policy as policy_module
from meshcors._policy.policy import PolicyOptions

CALLS = Path(__file__).with_name("typed_calls.py")
REFUSED = {
    number
    for number, line in enumerate(CALLS.read_text(encoding="utf-8").splitlines(), start=1)
    if line.endswith("# refused")
}
PACKAGE = Path(meshcors.__file__).parent


def run(*command: str) -> str:
    """What a type checker prints; it finds the package that the tests import."""
    # An editable install is not found by itself, and mypy refuses site-packages in its path.
    installed = PACKAGE.parent == Path(sysconfig.get_path("purelib"))
    paths = {} if installed else dict.fromkeys(("PYTHONPATH", "MYPYPATH"), str(PACKAGE.parent))
    # `pyright --verifytypes` asks the first python in PATH where packages are.
    paths["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **paths},
        cwd=CALLS.parent,
    )
    return done.stdout


def test_mypy_refuses_wrong_calls(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="python -m pip install --group lint")
    said = run("mypy", "--strict", f"--cache-dir={tmp_path}", str(CALLS))
    errors = re.findall(r"typed_calls\.py:(\d+): error:", said)
    assert {int(number) for number in errors} == REFUSED, said


def test_pyright_refuses_wrong_calls() -> None:
    pytest.importorskip("pyright", reason="python -m pip install --group lint")
    # The project's own settings are not a user's.
    said = run("pyright", "--outputjson", str(CALLS), "--pythonpath", sys.executable)
    found = json.loads(said)["generalDiagnostics"]
    lines = {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}
    assert lines == REFUSED, said


def test_every_public_symbol_has_a_known_type() -> None:
    pytest.importorskip("pyright", reason="python -m pip install --group lint")
    options = ("--verifytypes", "meshcors", "--ignoreexternal", "--outputjson")
    said = json.loads(run("pyright", *options, "--pythonpath", sys.executable))
    report = said["typeCompleteness"]
    unknown = [
        (symbol["name"], [each["message"] for each in symbol["diagnostics"]])
        for symbol in report["symbols"]
        if not symbol["isTypeKnown"]
    ]
    assert unknown == []
    assert report["completenessScore"] == 1


def test_the_signature_of_a_policy_is_its_options() -> None:
    parameters = inspect.signature(Policy).parameters
    assert {each.kind for each in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    required = [
        name for name, each in parameters.items() if each.default is inspect.Parameter.empty
    ]
    assert required == ["allow_origins"]
    assert list(parameters) == [field.name for field in fields(Policy)]
    names = vars(policy_module)
    hints = get_type_hints(Policy.__init__, names)
    assert hints.pop("return") is type(None)
    assert get_type_hints(PolicyOptions, names) == hints


def test_the_defaults_of_the_signature_are_those_of_a_policy() -> None:
    policy = Policy(allow_origins=["https://ui.example"])
    for name, parameter in inspect.signature(Policy).parameters.items():
        if name != "allow_origins":
            assert getattr(policy, name) == parameter.default, name


@pytest.mark.parametrize("made", [HeaderKey, Policy, Rule, RuleSet])
def test_a_constructor_spells_out_its_parameters(made: type) -> None:
    for parameter in inspect.signature(made).parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert parameter.kind not in {
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        }


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert meshcors.__version__ == version("meshcors")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = meshcors.nothing  # type: ignore[attr-defined]  # it is not there
