"""Files are read once, without blocking, and only if they are regular files."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from meshcors import HeaderKey, PolicyError
from meshcors._policy.regular_file import MAX_BYTES, FileError, read_text
from meshcors.config import from_file, rules_from_file

POLICY = '{"allowOrigins": ["https://ui.example"]}'


def make(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "terminal":
        path.symlink_to("/dev/ptmx")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


READERS = [
    pytest.param(read_text, id="text"),
    pytest.param(from_file, id="policy"),
    pytest.param(rules_from_file, id="rules"),
    pytest.param(lambda path: HeaderKey.from_file("x-key", path), id="key values"),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pipe", "a pipe, not a regular file: save its content as a file"),
        ("directory", "a directory, not a regular file: name a file"),
        ("device", "a device, not a regular file: name a file"),
        ("terminal", "a device, not a regular file: name a file"),
        ("socket", "No such device or address"),
        ("nothing", "No such file or directory"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(
    read: Any, kind: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"
    make(kind, path)
    before = descriptors()
    with pytest.raises((FileError, PolicyError)) as caught:
        read(path)
    assert said in str(caught.value)
    assert descriptors() == before


def test_symbolic_links_are_followed_to_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text(POLICY)
    (tmp_path / "link.json").symlink_to("real.json")
    assert read_text(tmp_path / "link.json") == POLICY
    assert from_file(tmp_path / "link.json") == from_file(tmp_path / "real.json")


def test_file_that_is_as_large_as_may_be_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * MAX_BYTES)
    assert len(read_text(path)) == MAX_BYTES
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(FileError, match="at most 1 MiB"):
        read_text(path)
