"""What COMMAND is: a Python program that inherits the import hook, or why it is not one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Final

_INTERPRETER: Final = re.compile(r"(python|pypy)(\d+(\.\d+)?t?)?(\.exe)?")
# What keeps an interpreter from reading PYTHONPATH, or from importing sitecustomize.
_ISOLATING: Final = {
    "I": "isolates Python from PYTHONPATH",
    "E": "has Python ignore PYTHONPATH",
    "S": "keeps Python from importing sitecustomize",
}
# Its other flags that take a value, in the same argument or in the next one.
_WITH_VALUE: Final = "WX"
# How installers write a path of the interpreter that is too long for the first line, or relative.
_BY_SHELL: Final = re.compile(
    r"""'{3}exec' .*\b(?:python|pypy)[\d.]*t?['"]*((?: +-\S+)*) +"\$0" .*"""
)
_MOST_BYTES: Final = 4096


class ProgramError(ValueError):
    """COMMAND cannot be started with the policy around its app; the text says why."""


def find(command: Sequence[str], *, unchecked: bool = False) -> str:
    """Return the path of the program that `command` names.

    Raises `ProgramError` if there is none, and, unless it is `unchecked`, if it is no Python
    program or one that cannot inherit the import hook.
    """
    path = shutil.which(command[0])
    if path is None:
        if os.path.isfile(command[0]):  # noqa: PTH113 - Path.is_file raises for some names
            hint = "it is not executable: make it so, or put python in front"
            raise ProgramError(f"{command[0]}: {hint}")
        raise ProgramError(f"{command[0]}: there is no such program")
    if not unchecked:
        interpreter = _interpreter(path, command)
        if interpreter is None:
            raise ProgramError(
                f"{command[0]}: this is not a Python program: put meshcors run in front of the one"
                " that it starts, or pass --any-command if that inherits its environment"
            )
        for flag in _flags(interpreter):
            if flag in _ISOLATING:
                raise ProgramError(
                    f"{command[0]}: the flag -{flag} {_ISOLATING[flag]}, by which it would inherit"
                    " the policy: leave it out"
                )
    return path


def _interpreter(path: str, command: Sequence[str]) -> list[str] | None:
    """Return the arguments of the Python that runs `path`; None if none does."""
    if _INTERPRETER.fullmatch(Path(path).name):
        return list(command[1:])
    try:
        with Path(path).open("rb") as file:
            start = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    first, second, *_ = [*start.split("\n"), ""]
    if not first.startswith("#!"):
        return None
    words = _words(first.removeprefix("#!"))
    if not words:
        return None
    by_shell = _BY_SHELL.fullmatch(second) if Path(words[0]).name == "sh" else None
    if by_shell is not None:
        return by_shell[1].split()
    if Path(words[0]).name == "env":
        words = list(dropwhile(_is_for_env, words[1:]))
    if not words or not _INTERPRETER.fullmatch(Path(words[0]).name):
        return None
    return words[1:]


def _is_for_env(word: str) -> bool:
    # One that sets PYTHONPATH would lead Python past the hook.
    return word == "-S" or ("=" in word and not word.startswith("PYTHONPATH="))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _flags(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the letters of an interpreter's flags, up to the script, ``-c`` or ``-m``."""
    left = iter(arguments)
    for argument in left:
        if argument == "--check-hash-based-pycs":
            next(left, None)
        elif argument in ("-", "--") or not argument.startswith("-"):
            return
        elif not argument.startswith("--"):
            for index, letter in enumerate(argument[1:], start=1):
                yield letter
                if letter in "cm":
                    return
                if letter in _WITH_VALUE:
                    if index == len(argument) - 1:
                        next(left, None)
                    break
