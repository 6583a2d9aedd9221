"""docs/reference-pod.md is made from the code, and compared with it here."""

from __future__ import annotations

import re
from pathlib import Path

import click

from meshcors.config._options import CONFIG_VARIABLE, OPTIONS
from meshcors.dummy._command import main
from tests import written_pages

PAGE = Path(__file__).parent.parent / "docs" / "reference-pod.md"
HEAD = """\
# The pod: every flag and variable

<!-- Written by: WRITE_PAGES=1 python -m pytest tests/test_dummy_reference.py -->

Start the pod with `python -m meshcors.dummy`, or `meshcors dummy`. A flag beats its variable, and a
variable beats the file. In a variable, commas separate the items of a list; a flag is repeated for
each item. What has no variable can be set on the command line only.

| flag | variable | in a file | default | what it is |
|---|---|---|---|---|
"""
VARIABLES = """
## Without a flag

| variable | in a file | what it is |
|---|---|---|
"""
# The options that have no flag, only a variable and a file's field.
UNFLAGGED = {
    "dangerously_allow_null_origin": "Allow the origin `null` to be listed.",
    "dangerously_allow_insecure_origins": "With credentials, allow plain-http origins.",
    "dangerously_allow_public_suffixes": "With credentials, allow `https://*.<public suffix>`.",
    "key.values": "Read and discarded: the pod checks that a key is there, not its value.",
    "key.exempt_paths": "Paths that need no key: exact, or a whole tree such as `/public/*`.",
}


def page() -> str:
    lines = [HEAD]
    by_flag = {option.flag: option for option in OPTIONS if option.flag}
    for parameter in main.params:
        assert isinstance(parameter, click.Option)
        option = by_flag.get(parameter.opts[0])
        flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
        if not parameter.is_flag:
            kinds = parameter.type.choices if isinstance(parameter.type, click.Choice) else None
            metavar = parameter.metavar or ("\\|".join(kinds) if kinds else "N")
            flags += f" `{metavar}`" if not kinds else f" {metavar}"
        variable = option.variable if option else ""
        if parameter.name == "config":
            variable = CONFIG_VARIABLE
        default = parameter.to_info_dict()["default"]
        default = "" if default in (None, False) else f"`{_plain(default)}`"
        text = re.sub(r" \[MESHCORS_\w+\]$", "", parameter.help or "")
        lines.append(
            f"| {flags} | {_code(variable)} | {_code(option.file_label if option else '')} |"
            f" {default} | {_escaped(text)} |\n"
        )
    lines.append(VARIABLES)
    lines += [
        f"| `{option.variable}` | {_code(option.file_label)} | {UNFLAGGED[option.name]} |\n"
        for option in OPTIONS
        if option.flag is None
    ]
    return "".join(lines)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def test_reference_says_what_the_code_says() -> None:
    written_pages.check(PAGE, page())


def test_every_option_is_in_the_reference() -> None:
    written = page()
    for option in OPTIONS:
        assert f"`{option.variable}`" in written
    for parameter in main.params:
        for flag in parameter.opts:
            assert f"`{flag}`" in written
