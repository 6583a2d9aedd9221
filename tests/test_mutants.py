"""The mutants themselves: what is made of a source, and what survives its tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.mutations import mutants

SOURCE = '''\
"""A docstring stays."""
from typing import Final, Literal

Kind = Literal["a"]
_WORD: Final = re.compile("a+")
_LIMITS = (1, True, "key", "A text for people stays.")


def covers(index: int | None, end: int = 0) -> bool | None:
    """Stays too."""
    total = 0
    total += end
    if index is None or not index < end:
        return None
    while end:
        end = end - 1
        if end == 3:
            break
        print(f"{end} stays", end="", *covers(1))
    return any(part.strip() for part in "b" if part)
'''


def names(source: str) -> list[str]:
    return [mutant.name for mutant in mutants(source)]


def changes(line: str) -> list[str]:
    """What is made of a line, without its place."""
    found = [name.partition(" | ")[2] for name in names(SOURCE)]
    return [name.removeprefix(line).removeprefix(" | ") for name in found if name.startswith(line)]


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ('"""A docstring stays."""', []),
        ('Kind = Literal["a"]', []),
        ('_WORD: Final = re.compile("a+")', ["'a+' => 'a'"]),
        (
            '_LIMITS = (1, True, "key", "A text for people stays.")',
            ["1 => 2", "1 => 0", "True => False", "'key' => 'XXkey'"],
        ),
        ("def covers(index: int | None, end: int = 0) -> bool | None:", ["0 => 1", "0 => -1"]),
        ("total = 0", [" => pass", "0 => 1", "0 => -1"]),
        ("total += end", [" => total -= end", " => total = end", " => pass"]),
        (
            "if index is None or not index < end:",
            [
                "index is None or not index < end => index is None and (not index < end)",
                "index is None or not index < end => not index < end",
                "index is None or not index < end => index is None",
                "index is None or not index < end => True",
                "index is None or not index < end => False",
                "index is None => index is not None",
                "not index < end => index < end",
                "index < end => index <= end",
            ],
        ),
        ("return None", []),
        ("while end:", ["end => False"]),
        (
            "end = end - 1",
            [" => pass", "end - 1 => end + 1", "1 => 2", "1 => 0"],
        ),
        (
            "if end == 3:",
            ["end == 3 => end != 3", "end == 3 => True", "end == 3 => False", "3 => 4", "3 => 2"],
        ),
        ("break", [" => continue"]),
        (
            'print(f"{end} stays", end="", *covers(1))',
            [
                "print(f'{end} stays', *covers(1), end='') => pass",
                "print(f'{end} stays', *covers(1), end='') => print(f'{end} stays', end='')",
                "print(f'{end} stays', *covers(1), end='') => print(f'{end} stays', *covers(1))",
                "1 => 2",
                "1 => 0",
                "'' => 'XX'",
            ],
        ),
        (
            'return any(part.strip() for part in "b" if part)',
            [
                """return any((part.strip() for part in 'b' if part)) => return None""",
                """any((part.strip() for part in 'b' if part)) =>"""
                """ all((part.strip() for part in 'b' if part))""",
                "part.strip() => part.lstrip()",
                "part.strip() => part.rstrip()",
                "part.strip() => part",
                "'b' => 'XXb'",
                "part => True",
                "part => False",
            ],
        ),
    ],
)
def test_changes_of_a_line(line: str, made: list[str]) -> None:
    assert changes(line) == made


def test_a_mutant_keeps_its_name_through_edits_elsewhere() -> None:
    edited = SOURCE.replace("Kind =", "# More.\nOther = None\n\nKind =").replace("_WORD", "_NAME")
    kept = [name for name in names(SOURCE) if "_WORD" not in name]
    assert [name for name in names(edited) if "_NAME" not in name] == kept
    assert len(set(names(SOURCE))) == len(names(SOURCE))


CORE = """\
STEP = 1


def count(end):
    at = 0
    while at < end:
        at += STEP
    return at
"""
# In a process of its own: pytest's watchdog would not outlive a fork.
TRY = """\
import subprocess
import sys
from pathlib import Path
from tests.mutants.mutations import mutants
from tests.mutants.running import Suite, TestsFailError, survivors

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
made = mutants((folder / "sampled" / "room" / "core.py").read_text("utf-8"))
done = []
suite = Suite("sampled.room.core", ((str(folder / "test_core.py"), f"--rootdir={folder}"),))
try:
    alive = survivors(suite, made, 2, done.append)
except TestsFailError as error:
    sys.exit(str(error))
assert sum(done) == len(made) and "sampled" not in sys.modules
print(*(mutant.name for mutant in alive), sep="\\n")
"""


def try_mutants(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    # As in the real package, importing any of it imports the module.
    room = folder / "sampled" / "room"
    room.mkdir(parents=True)
    (room.parent / "__init__.py").write_text("import sampled.room.core\n", "utf-8")
    (room / "__init__.py").touch()
    (room / "core.py").write_text(CORE, "utf-8")
    text = f"from sampled.room.core import count\n\n\ndef test():\n    {test}\n"
    (folder / "test_core.py").write_text(text, "utf-8")
    command = [sys.executable, "-c", TRY, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_the_tests_do_not_notice_survives(tmp_path: Path) -> None:
    ended = try_mutants(tmp_path, "assert count(1) == 1")
    assert (ended.returncode, ended.stderr) == (0, "")
    # Those that never end are not among them.
    assert ended.stdout.splitlines() == [
        "count | at = 0 | 0 => 1",
        "count | at = 0 | 0 => -1",
        "count | at += STEP => at = STEP",
    ]


def test_tests_that_fail_anyway_tell_nothing(tmp_path: Path) -> None:
    ended = try_mutants(tmp_path, "assert count(2) == 3")
    assert ended.returncode == 1
    assert "assert 2 == 3" in ended.stderr
