"""The problems of policies, keys and rules: their codes, fields and values."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import meshcors
from meshcors import HeaderKey, Policy, PolicyError
from meshcors._policy.header_key import read_key_values
from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.regex import Regex

UI = "https://ui.example"
CREDENTIALS = {"allow_credentials": True}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param({}, ("no_origins", "allow_origins", ""), id="no origins"),
        pytest.param(
            {"allow_origins": [UI], "nonsense": 1},
            ("unknown_option", "nonsense", ""),
            id="unknown option",
        ),
        pytest.param(
            {"allow_origins": [UI], "key": "s3cret"}, ("not_a_key", "key", ""), id="no key"
        ),
        pytest.param(
            {"allow_origins": ["*", UI]},
            ("origin_wildcard_beside_others", "allow_origins", "*"),
            id="* with others",
        ),
        pytest.param(
            {"allow_origins": ["*"], **CREDENTIALS},
            ("origin_wildcard_with_credentials", "allow_origins", "*"),
            id="* with credentials",
        ),
        pytest.param(
            {"allow_origins": [UI], "expose_headers": ["*"], **CREDENTIALS},
            ("expose_wildcard_with_credentials", "expose_headers", "*"),
            id="expose * with credentials",
        ),
        pytest.param(
            {"allow_origins": ["http://a.example"], **CREDENTIALS},
            ("origin_insecure", "allow_origins", "http://a.example"),
            id="http with credentials",
        ),
        pytest.param(
            {"allow_origins": ["https://*.co.uk"], **CREDENTIALS},
            ("origin_public_suffix", "allow_origins", "https://*.co.uk"),
            id="below a public suffix, with credentials",
        ),
        *(
            pytest.param(
                {"allow_origins": [Regex(rf"{scheme}://[a-z]+\.[a-z]+")], **CREDENTIALS},
                ("origin_regex_open", "allow_origins", rf"{scheme}://[a-z]+\.[a-z]+"),
                id=f"a regex that lets in any {scheme} page, with credentials",
            )
            for scheme in ("http", "https")
        ),
    ],
)
def test_problem_of_a_policy(options: dict[str, Any], problem: tuple[str, str, str]) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(**options)
    assert [(each.code, each.field, each.value) for each in caught.value.problems] == [problem]


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        pytest.param("abc", [("not_a_list", "")], id="a text"),
        pytest.param([], [("key_values_empty", "")], id="none"),
        pytest.param(["ok", 5], [("wrong_type", "number 2")], id="a number"),
        pytest.param(["", "ok"], [("key_value_empty", "number 1")], id="empty"),
        pytest.param(
            ["ok", " a", "a ", "a\t"],
            [
                ("key_value_blank", "number 2"),
                ("key_value_blank", "number 3"),
                ("key_value_not_printable", "number 4"),
            ],
            id="blanks",
        ),
    ],
)
def test_problem_of_a_keys_values_tells_their_number_only(
    values: Any, problems: list[tuple[str, str]]
) -> None:
    with pytest.raises(PolicyError) as caught:
        HeaderKey("model-api-key", values)
    told = [(each.code, each.field, each.value) for each in caught.value.problems]
    assert told == [(code, "key.values", value) for code, value in problems]


def test_problem_of_exempt_paths() -> None:
    with pytest.raises(PolicyError) as caught:
        HeaderKey("model-api-key", exempt_paths="/open")
    assert [each.field for each in caught.value.problems] == ["key.exempt_paths"]


def test_file_of_a_mebibyte_is_read_and_none_larger(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"k" * (1 << 20))
    assert read_key_values(file) == ["k" * (1 << 20)]
    file.write_bytes(b"k" * ((1 << 20) + 1))
    with pytest.raises(PolicyError, match="at most 1 MiB"):
        read_key_values(file)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        pytest.param(lambda folder: folder / "none", os.strerror(errno.ENOENT), id="missing"),
        pytest.param(
            lambda folder: folder,
            "a directory, not a regular file: name a file",
            id="a directory",
        ),
        pytest.param(lambda folder: "\0", "write a path", id="NUL"),
        pytest.param(lambda folder: 5, "write a path", id="a number"),
    ],
)
def test_problem_of_a_keys_file_tells_why(
    path: Callable[[Path], Any], hint: str, tmp_path: Path
) -> None:
    with pytest.raises(PolicyError) as caught:
        read_key_values(path(tmp_path))
    assert [(each.code, each.hint) for each in caught.value.problems] == [
        ("key_file_unreadable", hint)
    ]


def test_a_public_suffix_itself_is_an_origin_like_any_other() -> None:
    assert Policy(allow_origins=["https://github.io"], allow_credentials=True)


@pytest.mark.parametrize("name", ["x_key", "accept", "cookie"])
def test_problem_of_a_keys_name_does_not_repeat_it(name: str) -> None:
    with pytest.raises(PolicyError) as caught:
        HeaderKey(name)
    assert [each.value for each in caught.value.problems] == [""]


def test_problem_of_a_keys_file_does_not_repeat_its_name(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        read_key_values(tmp_path / "none")
    assert [each.value for each in caught.value.problems] == [""]


PACKAGE = Path(meshcors.__file__).parent
DOCS = Path(__file__).parent.parent / "docs"


def test_every_code_is_made_somewhere_and_is_documented() -> None:
    codes = get_args(ProblemCode)
    assert len(codes) == len(set(codes))
    sources = [*(PACKAGE / "_policy").glob("*.py"), *(PACKAGE / "config").glob("*.py")]
    made = "".join(
        source.read_text(encoding="utf-8")
        for source in [*sources, PACKAGE / "wrap.py"]
        if source.stem != "problem_codes"
    )
    assert [code for code in codes if f'"{code}"' not in made] == []
    pages = "".join(
        (DOCS / f"{page}.md").read_text(encoding="utf-8") for page in ("policy", "rules")
    )
    assert [code for code in codes if f"`{code}`" not in pages] == []


@pytest.mark.parametrize("page", ["policy", "rules"])
def test_every_documented_code_is_one(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    table = text.partition("| code | what is wrong |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert documented
    assert documented <= set(get_args(ProblemCode))
