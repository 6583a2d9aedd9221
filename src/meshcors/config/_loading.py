"""Loads a policy, or rules, from the environment, a file and flags.

For each option, a flag beats the environment, and the environment beats the file. Every problem is
named as its source spells it, and all are reported at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet, Uncovered, with_uncovered
from meshcors.config._document import documents_of_text, only_document, read_documents
from meshcors.config._environment import read_environment
from meshcors.config._fields import FieldPath
from meshcors.config._flags import read_flags
from meshcors.config._options import CONFIG_VARIABLE, OPTIONS, UNCOVERED_VARIABLE
from meshcors.config._policy_file import read_fields, read_policy
from meshcors.config._rule_file import holds_rules, read_rules
from meshcors.config._settings import make_policy


def from_environment(environ: Mapping[str, str] = os.environ) -> Policy:
    """Return the policy that the ``MESHCORS_*`` variables of `environ` describe.

    The items of a list are separated by commas, and an empty variable is treated as unset.
    ``MESHCORS_CONFIG`` names a file (see `from_file`); other variables override its options. Raises
    `PolicyError`, also for unknown ``MESHCORS_*`` variables, and if the file holds rules.
    """
    loaded = load(None, environ)
    if isinstance(loaded, RuleSet):
        raise _not_one_policy(environ[CONFIG_VARIABLE])
    return loaded


def from_file(path: str | Path) -> Policy:
    """Return the policy in the YAML, JSON or TOML file at `path`, which is like Istio's corsPolicy.

    The file has a field ``corsPolicy`` and optionally ``key``, or the fields of the corsPolicy
    themselves and optionally ``key``. Raises `PolicyError`, also if the file holds rules (see
    `rules_from_file`).
    """
    documents = read_documents(path)
    if holds_rules(documents):
        raise _not_one_policy(path)
    return read_policy([], _only_policy(path, documents), FieldPath(path))


def rules_from_file(path: str | Path) -> RuleSet:
    """Return the rules in the YAML, JSON or TOML file at `path`.

    The file holds one of these:

    - a list ``rules``, each with ``corsPolicy``, ``key``, ``hosts`` and ``pathPrefix``, and
      optionally ``uncovered`` (see `RuleSet`);
    - VirtualServices, of which the hosts, ``uri.prefix`` and ``corsPolicy`` are read (a
      `PolicyWarning` names what is ignored);
    - a single policy (see `from_file`), for every URL.

    Raises `PolicyError`.
    """
    documents = read_documents(path)
    if holds_rules(documents):
        return read_rules([], documents, FieldPath(path))
    return RuleSet([Rule(read_policy([], _only_policy(path, documents), FieldPath(path)))])


def source_of_text(text: str, name: str) -> Policy | RuleSet:
    """Return the policy or the rules in the text of a file, which messages call `name`.

    Raises `PolicyError`.
    """
    documents = documents_of_text(text, name)
    if holds_rules(documents):
        return read_rules([], documents, FieldPath(name))
    return read_policy([], _only_policy(name, documents), FieldPath(name))


def load(
    flags: Mapping[str, object] | None,
    environ: Mapping[str, str] = os.environ,
    *,
    config: str | Path | None = None,
    text: str | None = None,
) -> Policy | RuleSet:
    """Return the policy or the rules of all sources: `flags` beat `environ`, which beats the file.

    `flags` are values by option name (``allow_origins``, ``key.name``), or None without a command
    line. The file is `config`, or the one that ``MESHCORS_CONFIG`` names; `text` is what it holds,
    if it has been read. If it holds rules, they are returned, and other options are refused. Raises
    `PolicyError`.
    """
    problems: list[Problem] = []
    path = config or environ.get(CONFIG_VARIABLE)
    given_by = CONFIG_VARIABLE if not config else "config" if flags is None else "--config"
    if path and text is not None:
        documents = documents_of_text(text, str(path))
    else:
        documents = read_documents(path, given_by) if path else []
    if path and holds_rules(documents):
        beside = read_environment(problems, environ) | read_flags(problems, flags or {})
        hint = f"{path} holds rules, and each has its own policy: leave this out"
        given = [each.label for each in beside.values()]
        problems += [Problem("rules_and_options", label, "", hint) for label in given]
        rules = read_rules(problems, documents, FieldPath(path))
        return with_uncovered(rules, _uncovered(environ), UNCOVERED_VARIABLE)
    settings = read_fields(problems, _only_policy(path, documents), FieldPath(path)) if path else {}
    settings |= read_environment(problems, environ)
    settings |= read_flags(problems, flags or {})
    labels = {option.name: option.variable for option in reversed(OPTIONS)}
    if flags is not None:
        labels |= {
            option.name: f"{option.flag} or {option.variable}" for option in OPTIONS if option.flag
        }
    if path:
        # Where what is missing belongs: the user has a file.
        labels |= {option.name: f"{path}: {option.file_label}" for option in OPTIONS if option.file}
    return with_uncovered(
        make_policy(problems, settings, labels, "variable"),
        _uncovered(environ),
        UNCOVERED_VARIABLE,
    )


def _uncovered(environ: Mapping[str, str]) -> Uncovered | None:
    # RuleSet refuses any other text.
    return cast("Uncovered", environ.get(UNCOVERED_VARIABLE, "").strip()) or None


def _only_policy(path: str | Path, documents: list[object]) -> object:
    """Return the plain data of the only policy in a file's `documents`; raises `PolicyError`."""
    for document in documents:
        kind = document.get("kind") if isinstance(document, Mapping) else None
        if isinstance(kind, str):
            if kind == "VirtualService":
                field, kind, hint = "apiVersion", "", "write networking.istio.io/v1"
            else:
                field, hint = "kind", "write a policy, rules or a VirtualService"
            raise PolicyError([Problem("file_of_other_kind", f"{path}: {field}", kind, hint)])
    return only_document(path, documents)


def _not_one_policy(path: str | Path) -> PolicyError:
    hint = "the file holds rules: read it with meshcors.config.rules_from_file, pass it as rules="
    return PolicyError([Problem("file_of_rules", str(path), "", hint)])


def key_values_source(environ: Mapping[str, str], config: str | Path | None) -> str:
    """Return where `load` found the key's values: in a variable, else in the configuration file."""
    for option in OPTIONS:
        if option.name == "key.values" and environ.get(option.variable, "").strip():
            return option.variable
    return f"{config or environ[CONFIG_VARIABLE]}: key.valuesFile"
