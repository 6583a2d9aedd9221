"""``meshcors explain`` on generated documents: a cause for each verdict, and no key anywhere."""

from __future__ import annotations

import json
import random
import re
import shlex
from pathlib import Path

import pytest

from meshcors._cli import run
from tests.mesh_generator import spec

SEEDS = range(60)
SECRET = "s3cret"
# Where the value begins that a rule asks for in a header which only scripts set.
VALUE = re.compile(r'"(?:model-api-key|x-tenant)": \{\s*"exact": "')


@pytest.mark.parametrize("seed", SEEDS)
def test_every_verdict_has_a_cause_and_every_command_works(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = spec(random.Random(seed), 3)
    text = VALUE.sub(rf"\g<0>{SECRET}-", made.text)
    Path("mesh.json").write_text(text, encoding="utf-8")
    for number, asked in enumerate(made.requests):
        path = "/" + asked["path"].lstrip("/").replace("q=", f"q={SECRET}")
        arguments = [
            *("explain", "mesh.json", "--origin", "https://ui.example", "--method", "PUT"),
            *("--url", f"https://api.example.com{path}"),
            *("--header", f"x-tenant: {SECRET}-{number}", "--format", "json"),
        ]
        code = run(arguments)
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        assert code in (0, 1), said.err
        report = json.loads(said.out)
        assert report["cause"] or report["verdict"] == "allowed"
        assert (report["verdict"] == "blocked") == (code == 1)
        for line in report["hint"]:
            if line.startswith("meshcors "):
                assert run(shlex.split(line)[1:]) == 0
                assert "+++" in capsys.readouterr().out
