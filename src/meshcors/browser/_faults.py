"""What can be wrong with a server's answer: the codes, and where in a call each may be found."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Step: TypeAlias = Literal["preflight", "response"]
Code: TypeAlias = Literal[
    "allowed",
    "network_error",
    "preflight_redirect",
    "acao_missing",
    "acao_multiple",
    "acao_mismatch",
    "acao_wildcard_with_credentials",
    "acac_not_true",
    "preflight_not_ok",
    "methods_malformed",
    "headers_malformed",
    "method_not_allowed",
    "header_not_allowed",
]
# The code, the field at fault, and the value that consoles quote.
Fault: TypeAlias = tuple[Code, str, str]
NO_FAULT: Final[Fault] = ("allowed", "", "")
