"""Every option and its name in every source: one table.

Environment, files, the pod's flags and their reference are all read from `OPTIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from meshcors._policy.policy import Policy
from meshcors.config._formats import (
    BOOLEAN,
    KEY_FILE,
    KEY_VALUES,
    NAMES,
    ORIGINS,
    SECONDS,
    TEXT,
    ValueFormat,
)

# Where a policy is written outside Python.
Source: TypeAlias = Literal["variable", "file", "flag"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option and its name in every source; None or () if a source does not have it.

    `name` is the name in Python: a field of `Policy`, or ``key.`` and a field of `HeaderKey`.
    `variable` is the environment variable, `file` are the keys in a file from the outermost
    inwards, and `flag` is the pod's flag.
    """

    name: str
    format: ValueFormat
    variable: str
    file: tuple[str, ...]
    flag: str | None

    @property
    def file_label(self) -> str:
        """The keys in a file as people write them: ``key.header``."""
        return ".".join(self.file)


def _policy_option(name: str, value_format: ValueFormat, flag: str | None = None) -> Option:
    first, *others = name.split("_")
    camel = first + "".join(map(str.capitalize, others))
    return Option(name, value_format, f"MESHCORS_{name.upper()}", (camel,), flag)


OPTIONS: Final = (
    _policy_option("allow_origins", ORIGINS, "--allow-origin"),
    _policy_option("allow_methods", NAMES, "--allow-method"),
    _policy_option("allow_headers", NAMES, "--allow-header"),
    _policy_option("expose_headers", NAMES, "--expose-header"),
    _policy_option("allow_credentials", BOOLEAN, "--allow-credentials"),
    _policy_option("max_age", SECONDS, "--max-age"),
    _policy_option("allow_private_network", BOOLEAN, "--allow-private-network"),
    _policy_option("dangerously_allow_null_origin", BOOLEAN),
    _policy_option("dangerously_allow_insecure_origins", BOOLEAN),
    _policy_option("dangerously_allow_public_suffixes", BOOLEAN),
    Option("key.name", TEXT, "MESHCORS_KEY_HEADER", ("key", "header"), "--key-header"),
    # The values have two variables, and a file never holds them.
    Option("key.values", KEY_VALUES, "MESHCORS_KEY_VALUES", (), None),
    Option("key.values", KEY_FILE, "MESHCORS_KEY_VALUES_FILE", ("key", "valuesFile"), None),
    Option("key.exempt_paths", NAMES, "MESHCORS_KEY_EXEMPT_PATHS", ("key", "exemptPaths"), None),
)

CONFIG_VARIABLE: Final = "MESHCORS_CONFIG"
APP_VARIABLE: Final = "MESHCORS_APP"
# Who answers a URL that no rule covers; see `RuleSet`.
UNCOVERED_VARIABLE: Final = "MESHCORS_UNCOVERED"
# Variables that are not options of a policy.
OTHER_VARIABLES: Final = (CONFIG_VARIABLE, APP_VARIABLE, UNCOVERED_VARIABLE)


def option_value(policy: Policy, option: Option) -> object:
    """Return the value of `option` in `policy`, or None."""
    name = option.name.removeprefix("key.")
    return getattr(policy if name == option.name else policy.key, name, None)


OPTION_BY_NAME: Final = {option.name: option for option in reversed(OPTIONS)}


def spelled(name: str, source: Source) -> str:
    """Return the name of the option `name` in `source`; its variable if it has no flag."""
    option = OPTION_BY_NAME[name]
    if source == "file":
        return option.file_label
    return (option.flag if source == "flag" else None) or option.variable
