"""``meshcors run`` up to the moment it becomes the program, and the parts of its import hook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshcors import _cli as cli
from meshcors._launch.environment import FOLDER, program_environment
from meshcors._launch.following import FOLLOW_VARIABLE
from meshcors._launch.handing_on import led_by
from meshcors._launch.imports import ImportWatch
from meshcors._launch.listening import OTHERS_VARIABLE
from meshcors._launch.program import ProgramError, find
from meshcors._launch.servers import SERVERS
from meshcors._policy.errors import PolicyError
from meshcors.config._loading import load
from tests.calling import UI, clean_environment

# ---- The program


def script(folder: Path, text: str) -> str:
    made = folder / "program"
    made.write_text(text, encoding="utf-8")
    made.chmod(0o755)
    return str(made)


@pytest.mark.parametrize(
    "words",
    [
        "x.py -I",
        "-m uvicorn -E",
        "-mx -S",
        "-c pass -I",
        "-uB -X dev x.py -S",
        "-Xdev -W error x.py",
        "-sOO -P x.py",
        "--check-hash-based-pycs always x.py",
        "-",
        "",
    ],
)
def test_an_interpreter_that_reads_its_environment(words: str) -> None:
    assert find([sys.executable, *words.split()]) == sys.executable


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("-I x.py", "I"),
        ("-E -m uvicorn", "E"),
        ("-uS x.py", "S"),
        ("-W error -I x.py", "I"),
        ("-Werror -I x.py", "I"),
        ("--check-hash-based-pycs always -E x.py", "E"),
    ],
)
def test_an_interpreter_that_would_not_inherit_the_policy(words: str, flag: str) -> None:
    with pytest.raises(ProgramError, match=f"the flag -{flag} .*: leave it out"):
        find([sys.executable, *words.split()])


@pytest.mark.parametrize(
    "text",
    [
        "#!/usr/bin/python3\n",
        "#!/opt/python/bin/python3.12 -sP\n",
        "#!/usr/bin/env python3\nimport x",
        "#!/usr/bin/env -S PYTHONUTF8=1 python3 -u\n",
        "#!/usr/bin/env -S python3 -X importtime=1 -u\n",
        "#!/bin/sh\n'''exec' \"/opt/a b/bin/python\" \"$0\" \"$@\"\n' '''\n",
        '#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/\'python3\' "$0" "$@"\n',
    ],
)
def test_a_script_that_python_runs(text: str, tmp_path: Path) -> None:
    program = script(tmp_path, text)
    assert find([program, "-I"]) == program


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/usr/bin/python3 -I\n", "the flag -I"),
        ("#!/usr/bin/env -S python3 -sE\n", "the flag -E"),
        ("#!/usr/bin/env -S python3 -S\n", "the flag -S"),
        ("#!/usr/bin/env -S python3 -X pycache_prefix=/tmp/x -I\n", "the flag -I"),
        ("#!/usr/bin/env -S PYTHONPATH= python3\n", "not a Python program"),
        ("#!/bin/sh\n'''exec' /bin/python -E \"$0\" \"$@\"\n", "the flag -E"),
        ("#!/bin/sh\nexec uvicorn app:app\n", "not a Python program"),
        ("#!/usr/bin/env bash\n", "not a Python program"),
        ("#!", "not a Python program"),
        ("", "not a Python program"),
        ("\x7fELF\x01", "not a Python program"),
        ("#!/usr/bin/pythonic\n", "not a Python program"),
    ],
)
def test_a_program_that_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=reason):
        find([script(tmp_path, text)])


def test_any_command_is_taken_if_the_user_says_so(tmp_path: Path) -> None:
    program = script(tmp_path, "#!/bin/sh\n")
    assert find([program], unchecked=True) == program
    with pytest.raises(ProgramError, match="there is no such program"):
        find([str(tmp_path / "missing")], unchecked=True)


# ---- The policy


@pytest.mark.parametrize(
    "flags",
    [
        {"allow_origins": (UI, "https://*.example.com", r"regex:https://[a-z]+\.example\.org")},
        {"allow_origins": (UI,), "allow_methods": ("PUT", "DELETE"), "max_age": "10m"},
        {"allow_origins": (UI,), "allow_credentials": True, "allow_private_network": False},
        {"allow_origins": (UI,), "allow_headers": ("x-a",), "expose_headers": ("x-b", "x-c")},
        {"allow_origins": (UI,), "key.name": "model-api-key"},
    ],
)
def test_the_variables_say_what_the_flags_say(flags: dict[str, Any]) -> None:
    assert load(None, program_environment(flags, {})) == load(flags, {})


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("allowOrigins: [https://file.example]\nmaxAge: 1m\nexposeHeaders: [x-file]\n")
    environ = {"MESHCORS_MAX_AGE": "120", "MESHCORS_ALLOW_ORIGINS": "https://env.example"}
    made = program_environment({"allow_origins": (UI,)}, environ, config=str(file))
    policy = load(None, made)
    assert (policy.allow_origins, policy.max_age, policy.expose_headers) == (
        (UI,),
        120,
        ("x-file",),
    )


def test_an_empty_flag_leaves_the_file_of_the_variable(tmp_path: Path) -> None:
    """What has been checked is what the program gets: with the file's key."""
    file = tmp_path / "policy.json"
    file.write_text('{"key": {"header": "model-api-key"}}')
    environ, flags = {"MESHCORS_CONFIG": str(file)}, {"allow_origins": (UI,)}
    made = program_environment(flags, environ, config="")
    assert load(None, made) == load(flags, environ, config="")


def test_the_key_values_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path holds in any folder, and it beats a variable that has the values."""
    (tmp_path / "keys").write_text("right\n")
    (tmp_path / "rules.yaml").write_text(f"rules: [{{corsPolicy: {{allowOrigins: ['{UI}']}}}}]\n")
    monkeypatch.chdir(tmp_path)
    environ = {"MESHCORS_KEY_VALUES": "other", "MESHCORS_KEY_HEADER": "key"}
    made = program_environment({"allow_origins": (UI,)}, environ, key_values_file="keys")
    assert made["MESHCORS_KEY_VALUES_FILE"] == str(tmp_path / "keys")
    assert "MESHCORS_KEY_VALUES" not in made
    assert "right" not in str(made)
    for given in ({"MESHCORS_CONFIG": "rules.yaml"}, {}):
        config = None if given else "rules.yaml"
        made = program_environment({}, given, config=config)
        assert made["MESHCORS_CONFIG"] == str(tmp_path / "rules.yaml")


def test_a_problem_names_what_the_user_wrote(tmp_path: Path) -> None:
    file = str(tmp_path / "missing")
    with pytest.raises(PolicyError) as caught:
        program_environment({"allow_origins": (UI,), "key.name": "k"}, {}, key_values_file=file)
    assert [each.field for each in caught.value.problems] == ["--key-values-file"]
    with pytest.raises(PolicyError, match=r"--allow-origin: .*use a file"):
        program_environment({"allow_origins": ("regex:https://a{1,2}\\.example",)}, {})


def test_pythonpath_leads_to_the_hook_and_to_no_current_folder() -> None:
    made = program_environment({"allow_origins": (UI,)}, {}, other_listeners=True)
    assert (made["PYTHONPATH"], made[OTHERS_VARIABLE]) == (FOLDER, "1")
    assert {each.name for each in Path(FOLDER).iterdir()} - {"__pycache__"} == {"sitecustomize.py"}
    path = os.pathsep.join(["theirs", FOLDER, "more", ""])
    assert led_by(FOLDER, path) == os.pathsep.join([FOLDER, "theirs", "more"])


def test_a_file_is_followed_where_this_is_asked_for() -> None:
    inherited = {FOLLOW_VARIABLE: "7"}
    assert FOLLOW_VARIABLE not in program_environment({"allow_origins": (UI,)}, inherited)
    made = program_environment({"allow_origins": (UI,)}, inherited, follow=True)
    assert made[FOLLOW_VARIABLE] == "2"


# ---- The command line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "name the command: meshcors run ... -- uvicorn main:app"),
        (f"--allow-origin {UI} --", "name the command: meshcors run ... -- uvicorn main:app"),
        (
            f"--allow-origin {UI} --follow -- python",
            "--follow: name the file, with --config or MESHCORS_CONFIG",
        ),
        (f"--allow-origin {UI} -- nothing-of-the-kind", "nothing-of-the-kind: there is no such"),
        (f"--allow-origin {UI} -- {__file__}", f"{__file__}: it is not executable: make it so, or"),
        (f"--config {__file__} --config {__file__} -- python", "--config: given twice: leave one"),
        (f"--allow-origin {UI} -- sh -c true", "sh: this is not a Python program: put meshcors"),
        (f"--allow-origin {UI} -- python -I x.py", "python: the flag -I isolates Python from"),
        ("--allow-orgin x -- python", "--allow-orgin: unknown; did you mean --allow-origin?"),
        ("--key-values right -- python", "--key-values: values are read from a file, --key-valu"),
        ("-- python", "--allow-origin or MESHCORS_ALLOW_ORIGINS: "),
        ("--allow-origin http://ui.example --max-age x -- python", "--max-age: "),
    ],
)
def test_a_mistake_is_one_line(
    words: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*os.environ]:
        if name.startswith("MESHCORS_"):
            monkeypatch.delenv(name)
    assert cli.run(["run", *words.split()]) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.startswith(f"meshcors: {line}")) == ("", True), errors
    assert "right" not in errors
    assert all(each.startswith("meshcors: ") for each in errors.splitlines())


def test_of_many_problems_the_first_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.json"
    wrong = [f"https://ui{n}.example/" for n in range(4000)]
    path.write_text(json.dumps({"allowOrigins": wrong}))
    assert cli.run(["run", "--config", str(path), "--", "python"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-1]) == (51, "meshcors: and 3,950 more problems")
    # Verbs that read a policy refuse it in one line.
    assert cli.run(["render", "--config", str(path), "--to", "env"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; and 3,950 more problems")


def test_of_many_warnings_the_first_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.json"
    policy = {"allowOrigins": [UI], "allowMethods": ["GET"]}
    rules = [{"hosts": [f"h{n}.example"], "corsPolicy": policy} for n in range(200)]
    path.write_text(json.dumps({"rules": rules}))
    assert cli.run(["render", "--config", str(path), "--to", "policy"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "note: and 150 more warnings" in lines
    assert len(lines) < 60


# ---- The import hook


def python(code: str, *paths: str) -> str:
    """What Python prints for `code` below the launcher."""
    path = os.pathsep.join([FOLDER, *paths])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=clean_environment({"PYTHONPATH": path}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_program_that_serves_nothing_imports_no_middleware_and_no_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Measuring the branches of child processes imports some of these.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    loaded = python("import sys; print(*sys.modules)").split()
    names = {each.partition(".")[0] for each in loaded}
    assert not names & {"asyncio", "click", "socket", "starlette", *SERVERS}
    ours = {each for each in loaded if each.startswith("meshcors")}
    parts = ("handing_on", "imports", "refusing", "servers", "startup")
    assert ours == {"meshcors", "meshcors._launch", *(f"meshcors._launch.{p}" for p in parts)}


def test_the_sitecustomize_of_others_runs_after_ours(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nprint(len(sys.meta_path), __file__)\n")
    printed = python("import sitecustomize; print(sitecustomize.__file__)", str(tmp_path))
    theirs = re.escape(str(tmp_path / "sitecustomize.py"))
    assert re.fullmatch(rf"\d+ {theirs}\n{theirs}\n", printed)


def test_a_watched_module_is_handed_over_whole_and_with_its_own_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watched_one.py").write_text("value = 1\n")
    (tmp_path / "watched_two.py").write_text("value = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen: list[Any] = []
    watch = ImportWatch(["watched_one"], seen.append)
    # Two of them, as other tools have finders of this kind, and each asks all others.
    monkeypatch.setattr(sys, "meta_path", [watch, ImportWatch([], seen.append), *sys.meta_path])
    import watched_one  # type: ignore[import-not-found]
    import watched_two  # type: ignore[import-not-found]

    assert (seen, watched_two.value) == ([watched_one], 2)
    assert type(watched_one.__spec__.loader) is type(watched_two.__spec__.loader)
    assert watched_one.__loader__ is watched_one.__spec__.loader
    for name in ("watched_one", "watched_two"):
        del sys.modules[name]
