"""Rules in a file: a list of rules, or VirtualServices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from meshcors._policy.errors import PolicyError, Problem
from meshcors._policy.rules import ONE_URL_ONE_POLICY, Rule, RuleSet, Uncovered
from meshcors.config._fields import FieldPath, read_mapping
from meshcors.config._policy_file import (
    KEY_VALUES_FIELDS,
    NO_VALUES_HERE,
    POLICY_FIELDS,
    unknown_field,
)
from meshcors.config._rule_parts import ANY_POLICY, make_rule, policy_of_rule, read_list
from meshcors.config._virtual_services import VirtualServices, is_virtual_service

_RULE_FIELDS: Final = ("hosts", "pathPrefix", "corsPolicy", "key")
# How people try to make a rule, or its key, depend on a header's value.
_BY_VALUE: Final = frozenset({"header", "headers", "match", "withoutHeaders"})
_KEY_BY_VALUE: Final = frozenset({"exact", "prefix", "regex"})


def holds_rules(documents: list[object]) -> bool:
    """Return whether a file's `documents` hold rules rather than a single policy."""
    return _holds_list(documents) or any(map(is_virtual_service, documents))


def read_rules(problems: list[Problem], documents: list[object], where: FieldPath) -> RuleSet:
    """Return the rules in the plain `documents` of the file `where`.

    Raises `PolicyError` with all their problems and the `problems` found before.
    """
    if not _holds_list(documents):
        return VirtualServices(problems).read(documents, where)
    top = read_mapping(problems, documents[0], where)
    uncovered = cast("Uncovered | None", top.pop("uncovered", None))
    rules = _read_rules(problems, top, where)
    whole = [rule for rule in rules if rule is not None]
    rule_set = None
    # Without one of the rules, the numbers of the others would be wrong.
    if len(whole) == len(rules):
        try:
            rule_set = RuleSet(whole, uncovered=uncovered)
        except PolicyError as error:
            problems += [replace(each, field=str(where.at(each.field))) for each in error.problems]
    if rule_set is None or problems:
        raise PolicyError(dict.fromkeys(problems))
    return rule_set


def _holds_list(documents: list[object]) -> bool:
    return len(documents) == 1 and isinstance(documents[0], Mapping) and "rules" in documents[0]


def _read_rules(
    problems: list[Problem], top: dict[str, object], where: FieldPath
) -> list[Rule | None]:
    for name in top:
        if name != "rules":
            hint = "only uncovered may be next to rules: write this inside a rule"
            problems.append(Problem("unknown_field", str(where.at(name)), "", hint))
    where = where.at("rules")
    items = read_list(problems, top["rules"], where)
    return [_read_rule(problems, item, where.at(index)) for index, item in enumerate(items)]


def _read_rule(problems: list[Problem], item: object, where: FieldPath) -> Rule | None:
    fields = read_mapping(problems, item, where)
    if item is not None and not isinstance(item, Mapping):
        return None
    _refuse_values(problems, fields, where)
    known = _RULE_FIELDS if "corsPolicy" in fields else (*_RULE_FIELDS, *POLICY_FIELDS)
    for name in [name for name in fields if name not in known]:
        problems.append(unknown_field(where, (name,), known))
        del fields[name]
    hosts, prefix = fields.pop("hosts", None), fields.pop("pathPrefix", None)
    policy = policy_of_rule(problems, fields, where)
    paths = {"hosts": where.at("hosts"), "path_prefix": where.at("pathPrefix")}
    return make_rule(problems, policy or ANY_POLICY, hosts, prefix, paths)


def _refuse_values(problems: list[Problem], fields: dict[str, object], where: FieldPath) -> None:
    """Refuse and remove whatever would make a rule depend on a header's value."""
    key = fields.get("key")
    found = {where.at(name): ONE_URL_ONE_POLICY for name in fields if name in _BY_VALUE}
    if isinstance(key, Mapping):
        named = cast("Mapping[object, object]", key)
        for name, value in named.items():
            at = where.at("key").at(str(name))
            if name in KEY_VALUES_FIELDS:
                found[at] = NO_VALUES_HERE
            elif name in _KEY_BY_VALUE or (name == "header" and isinstance(value, Mapping)):
                found[at] = ONE_URL_ONE_POLICY
        if found:
            del fields["key"]
    for name in _BY_VALUE & fields.keys():
        del fields[name]
    problems += [Problem("rule_by_value", str(at), "", hint) for at, hint in found.items()]
