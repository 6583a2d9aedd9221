"""The arguments FILE... of the tools for the mesh: files, directories, and - for standard input."""

from __future__ import annotations

import errno
import os
import re
import sys
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

import click

from meshcors._cli.files import MAX_BYTES
from meshcors._cli.other_programs import OtherPrograms
from meshcors._policy.place import Place
from meshcors._policy.regular_file import FileError, read_content
from meshcors._policy.wording import file_label
from meshcors.mesh._analysis.mesh_documents import read_mesh
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

STDIN: Final = "<stdin>"
# What no file for the tools is without: an object's, or a configuration of Envoy's.
_MARK: Final = re.compile(
    rb"apiVersion|type\.googleapis\.com|virtual_?hosts|static_resources", re.IGNORECASE
)
_LINT_STDIN: Final = "| meshcors lint -"
# The same for the verbs that read standard input; the lab watches files.
_PIPED: Final = {
    "explain": "| meshcors explain -",
    "fix": "| meshcors fix -",
    "lab": "> rendered.yaml",
    "render": "| meshcors render --beside -",
    "routes": "| meshcors routes -",
}
_HINTS: Final = {
    "a pipe, not a regular file": f"write - for standard input: COMMAND {_LINT_STDIN}",
    "a device, not a regular file": "name a file, or - for standard input",
}
_SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(slots=True)
class MeshFiles:
    """The texts of the arguments FILE... by name, and why others cannot be read.

    ``searched`` are the names of files that were found in directories.
    """

    texts: dict[str, str] = field(default_factory=dict)
    problems: list[DocumentProblem] = field(default_factory=list)
    searched: set[str] = field(default_factory=set)

    def add(self, name: str, content: bytes) -> None:
        """Add a file's bytes as a text, or the problem that they are not UTF-8."""
        try:
            self.texts[name] = content.decode()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            column = error.start - content.rfind(b"\n", 0, error.start)
            self.refuse(Place(name, line, column), "not UTF-8", "save the file as UTF-8")

    def refuse(self, place: Place, message: str, hint: str) -> None:
        """Add a problem."""
        self.problems.append(DocumentProblem(place, "unreadable", "", message, hint))


def mesh_of(
    names: Sequence[str], given_by: str = "FILE", exclude: Sequence[str] = ()
) -> MeshDocuments:
    """Return what the arguments FILE... hold together, with a problem for what cannot be read.

    ``given_by`` is what messages call the arguments. Files in directories whose path matches one of
    ``exclude`` are left out.

    ``click.ClickException`` is raised for a name that does not exist, and for a second ``-``.
    """
    files = read_mesh_files(names, given_by, exclude)
    programs = OtherPrograms()
    patches = {name: found for name in files.texts if (found := programs.patch(name))}
    texts = {name: text for name, text in files.texts.items() if name not in patches}
    mesh = read_mesh(texts)
    # a directory also holds values, kustomizations and other files that are not for Kubernetes
    problems = (
        programs.located(each)
        for each in mesh.problems
        if each.code != "not_an_object" or each.place.file not in files.searched
    )
    listed = _once((*patches.values(), *problems), files.searched)
    return replace(mesh, problems=tuple(map(for_this_verb, (*files.problems, *listed))))


def for_this_verb(problem: DocumentProblem) -> DocumentProblem:
    """Return a problem whose command pipes into the verb that the user has called."""
    context = click.get_current_context(silent=True)
    command = _PIPED.get(context.info_name or "", _LINT_STDIN) if context else _LINT_STDIN
    return replace(problem, hint=problem.hint.replace(_LINT_STDIN, command))


def _once(problems: Iterable[DocumentProblem], searched: set[str]) -> Iterator[DocumentProblem]:
    """Yield all problems; of files in directories that are rendered together, only the first."""
    alike: dict[tuple[str, str], list[DocumentProblem]] = {}
    for each in problems:
        if each.code == "unrendered" and each.place.file in searched:
            alike.setdefault((each.message, each.hint), []).append(each)
        else:
            yield each
    for first, *others in alike.values():
        more = f", as {len(others)} more file{'s are' if others[1:] else ' is'}" if others else ""
        yield replace(first, message=f"{first.message}{more}")


def read_mesh_files(
    names: Sequence[str], given_by: str = "FILE", exclude: Sequence[str] = ()
) -> MeshFiles:
    """Return the texts of the arguments FILE...; see `mesh_of`.

    Of a directory these are its ``*.yaml``, ``*.yml`` and ``*.json`` files and those of the
    directories in it, sorted, without hidden ones. A file that is reached twice is read once.
    """
    files = MeshFiles()
    seen: set[str] = set()
    if names.count("-") > 1:
        raise click.ClickException("-: standard input can be read once; write one -")
    for name, label in zip(names, _labels(names, given_by), strict=True):
        if name != "-":
            _refuse_missing(name, label)
    for name in names:
        if name == "-":
            _read_stdin(files)
            continue
        if os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            before = len(files.problems)
            found = list(_files_in(Path(name), set(), files))
            if not found and len(files.problems) == before:
                message = "no *.yaml, *.yml or *.json file in this directory"
                files.refuse(Place(name, 1, 1), message, "pass the directory that has them")
            found = [each for each in found if not _is_excluded(each, name, exclude)]
            files.searched.update(found)
        else:
            found = [name]
        for path in found:
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                _read_file(files, path)
    return files


def _is_excluded(file: str, directory: str, globs: Sequence[str]) -> bool:
    """Tell whether a file's path in a directory, or one that it is in, matches a glob.

    A glob without a slash is for names at any depth.
    """
    inner = PurePath(file).relative_to(directory)
    paths = [inner, *list(inner.parents)[:-1]]
    return any(
        fnmatchcase(path.as_posix() if "/" in glob else path.name, glob)
        for each in globs
        for glob in [each.removeprefix("./").rstrip("/")]
        for path in paths
    )


def _refuse_missing(name: str, label: str) -> None:
    try:
        Path(name).stat()
    except FileNotFoundError as error:
        reason = error.strerror
    except ValueError:
        reason = "embedded null byte"
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            return  # it exists, and reading it says what is wrong
        reason = error.strerror
    else:
        return
    message = f"{file_label(name, label)}: {reason}; pass a readable file"
    raise click.ClickException(message)


def _read_stdin(files: MeshFiles) -> None:
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    place = Place(STDIN, 1, 1)
    if len(content) > MAX_BYTES:
        files.refuse(place, f"larger than {MAX_BYTES // 2**20} MiB", "split it")
    elif not content.strip():
        # most likely the command before the pipe has failed
        files.refuse(place, "standard input is empty", "check the command before the pipe")
    else:
        files.add(STDIN, content)


def read_named_files(names: Sequence[str], most: int) -> dict[str, str]:
    """Return the texts of the arguments FILE... of a verb that takes files of at most `most` bytes.

    ``click.ClickException`` is raised for a name that does not exist, and `DocumentError` for all
    files that cannot be read.
    """
    files = MeshFiles()
    for name, label in zip(names, _labels(names, "FILE"), strict=True):
        _refuse_missing(name, label)
    for name in names:
        _read_file(files, name, most)
    if files.problems:
        raise DocumentError(files.problems)
    return files.texts


def _labels(names: Sequence[str], given_by: str) -> list[str]:
    """Return what messages call each of the arguments."""
    return [given_by if len(names) == 1 else f"{given_by} {at + 1}" for at in range(len(names))]


def _read_file(files: MeshFiles, name: str, most: int = MAX_BYTES) -> None:
    try:
        content = read_content(name, most)
    except FileError as error:
        place = Place(name, 1, 1)
        if error.kind == "too_large":
            files.refuse(place, f"larger than {most // 2**20} MiB", "split it")
        else:
            message, _, hint = error.hint.partition(": ")
            if most == MAX_BYTES:
                hint = _HINTS.get(message, hint)
            files.refuse(place, message, hint or "make it readable, or leave it out")
    else:
        if name not in files.searched or _MARK.search(content):
            files.add(name, content)


def _files_in(directory: Path, seen: set[str], files: MeshFiles) -> Iterator[str]:
    """Yield the files of a directory and of those in it, sorted; none twice, whatever links do.

    A directory that cannot be read is a problem of ``files``.
    """
    real = os.path.realpath(directory)
    if real in seen:
        return
    seen.add(real)
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        files.refuse(Place(str(directory), 1, 1), reason, "make it readable, or leave it out")
        return
    for path in entries:
        if path.name.startswith("."):
            continue
        if os.path.isdir(path):  # noqa: PTH112 - as above
            yield from _files_in(path, seen, files)
        elif path.suffix in _SUFFIXES:
            yield str(path)
