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
    inwards, `flag` is the pod's flag, and `help` what it says of it.
    """

    name: str
    format: ValueFormat
    variable: str
    file: tuple[str, ...]
    flag: str | None = None
    help: str = ""

    @property
    def file_label(self) -> str:
        """The keys in a file as people write them: ``key.header``."""
        return ".".join(self.file)


def _policy_option(
    name: str, value_format: ValueFormat, flag: str | None = None, what: str = ""
) -> Option:
    first, *others = name.split("_")
    camel = first + "".join(map(str.capitalize, others))
    return Option(name, value_format, f"MESHCORS_{name.upper()}", (camel,), flag, what)


OPTIONS: Final = (
    _policy_option(
        *("allow_origins", ORIGINS, "--allow-origin"),
        "An origin whose pages may call the services, such as https://ui.example,"
        " https://*.example.com, http://localhost:* or regex:EXPRESSION. May be repeated.",
    ),
    _policy_option(
        *("allow_methods", NAMES, "--allow-method"),
        "A method to allow besides GET, HEAD and POST. May be repeated.",
    ),
    _policy_option(
        *("allow_headers", NAMES, "--allow-header"),
        "A request header to allow besides the safelisted ones and the key. May be repeated.",
    ),
    _policy_option(
        *("expose_headers", NAMES, "--expose-header"),
        "A response header that scripts may read. May be repeated.",
    ),
    _policy_option(
        *("allow_credentials", BOOLEAN, "--allow-credentials"),
        "Whether pages may send cookies and HTTP authentication.",
    ),
    _policy_option(
        *("max_age", SECONDS, "--max-age"),
        "How long browsers may cache an answer: seconds, or a duration such as 10m or 24h.",
    ),
    _policy_option(
        *("allow_private_network", BOOLEAN, "--allow-private-network"),
        "Whether public pages may reach these services on a private network.",
    ),
    _policy_option("dangerously_allow_null_origin", BOOLEAN),
    _policy_option("dangerously_allow_insecure_origins", BOOLEAN),
    _policy_option("dangerously_allow_public_suffixes", BOOLEAN),
    Option(
        *("key.name", TEXT, "MESHCORS_KEY_HEADER", ("key", "header"), "--key-header"),
        "The request header that picks a service, such as model-api-key.",
    ),
    # The values have two variables, and a file never holds them.
    Option("key.values", KEY_VALUES, "MESHCORS_KEY_VALUES", ()),
    Option("key.values", KEY_FILE, "MESHCORS_KEY_VALUES_FILE", ("key", "valuesFile")),
    Option("key.exempt_paths", NAMES, "MESHCORS_KEY_EXEMPT_PATHS", ("key", "exemptPaths")),
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
