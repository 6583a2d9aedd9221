"""What a call can suffer from: the codes, how grave each is, and what a report says of it.

An error keeps the page from its answer, or lets strangers act as the user. A warning is wrong
though the call works. A note is good to know, and a healthy set-up may have some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from meshcors._doctor.layer_names import Layer

Severity: TypeAlias = Literal["error", "warning", "note"]
FindingCode: TypeAlias = Literal[
    "preflight_not_routed",
    "preflight_unanswered",
    "preflight_redirected",
    "preflight_denied_by_auth",
    "preflight_error_status",
    "origin_not_allowed",
    "header_not_allowed",
    "method_not_allowed",
    "list_malformed",
    "credentials_not_allowed",
    "wildcard_with_credentials",
    "two_owners",
    "grant_missing_on_call",
    "grant_missing_on_error",
    "key_missing_unreadable",
    "call_redirected",
    "call_redirected_to_login",
    "redirected_elsewhere",
    "redirects_go_on",
    "slash_redirect",
    "guard_refuses_origin",
    "guard_refuses_host",
    "no_upstream",
    "stream_cut_short",
    "dns_fault",
    "refused",
    "tls_fault",
    "timeout",
    "broken_answer",
    "mixed_content",
    "stranger_echoed_with_credentials",
    "stranger_allowed",
    "null_allowed",
    "look_alike_allowed",
    "subdomain_allowed",
    "vary_missing",
    "authorization_under_star",
    "options_taken",
    "policy_differs",
    "max_age_missing",
    "max_age_capped",
    "private_network",
    "proxy_not_used",
    "key_not_checked",
    "call_refused",
]


class FindingKind(NamedTuple):
    """How grave a finding is, and its message; the braces are filled in from the call."""

    severity: Severity
    message: str


# In the order in which they are reported.
FINDING_KINDS: Final[dict[FindingCode, FindingKind]] = {
    "mixed_content": FindingKind(
        "error",
        "An https page may not call an http URL: browsers block mixed content before CORS, and send"
        " nothing.{value}",
    ),
    "dns_fault": FindingKind("error", "The name of the host does not resolve: {failure}."),
    "refused": FindingKind("error", "Nothing answers there: {failure}."),
    "tls_fault": FindingKind(
        "error", "The TLS handshake fails, as it does in a browser: {failure}."
    ),
    "timeout": FindingKind("error", "No answer in time: {failure}."),
    "broken_answer": FindingKind("error", "There is no answer that can be read: {failure}."),
    "preflight_not_routed": FindingKind(
        "error",
        "The gateway has no route for the preflight: {why}.",
    ),
    "preflight_redirected": FindingKind(
        "error", "The preflight is redirected to {target}, and browsers follow no such redirect."
    ),
    "slash_redirect": FindingKind(
        "error", "The server redirects to the URL with another ending: {target}."
    ),
    "preflight_denied_by_auth": FindingKind(
        "error",
        "The preflight is denied before it reaches the service, with {status}: a preflight never"
        " carries the token or key that is asked for.",
    ),
    "guard_refuses_origin": FindingKind(
        "error", "Apart from CORS, the server checks the Origin itself, and refuses this one."
    ),
    "guard_refuses_host": FindingKind(
        "error", "The server checks the host itself, and refuses {host}."
    ),
    "preflight_unanswered": FindingKind(
        "error",
        "Nothing answers the preflight as CORS requires: OPTIONS gets {status}.",
    ),
    "no_upstream": FindingKind(
        "error", "The gateway does not reach the service: {status}. CORS is not at fault."
    ),
    "preflight_error_status": FindingKind(
        "error", "The preflight gets {status}, and a preflight must get 200 to 299."
    ),
    "two_owners": FindingKind(
        "error",
        "Two layers add CORS fields: {field} is {value}, and browsers accept a single value.",
    ),
    "origin_not_allowed": FindingKind(
        "error", "The answer to {what} does not allow pages of {origin}{value}."
    ),
    "wildcard_with_credentials": FindingKind(
        "error",
        "access-control-allow-origin is *, which browsers refuse for a call with credentials.",
    ),
    "credentials_not_allowed": FindingKind(
        "error", "The call has credentials, but access-control-allow-credentials is not true."
    ),
    "list_malformed": FindingKind(
        "error", "{field} is not a list of names: browsers reject all of it."
    ),
    "method_not_allowed": FindingKind(
        "error", "The answer to the preflight does not list the method {method}."
    ),
    "header_not_allowed": FindingKind(
        "error", "The answer to the preflight does not list {missing}."
    ),
    "call_redirected_to_login": FindingKind(
        "error", "The call is redirected to a login, {target}: no script can log in there."
    ),
    "call_redirected": FindingKind(
        "error", "The call is redirected to {target}, and a page cannot follow that."
    ),
    "redirected_elsewhere": FindingKind(
        "error",
        "The call is redirected to another server, {target}. A browser takes its headers and its"
        " body there, and doctor does not.",
    ),
    "redirects_go_on": FindingKind(
        "error", "The call is redirected a third time, to {target}, and doctor follows two."
    ),
    "grant_missing_on_call": FindingKind(
        "error",
        "The answer to the call itself, {status}, has no access-control-allow-origin for the page.",
    ),
    "grant_missing_on_error": FindingKind(
        "error",
        "The answer to {what} is an error, {status}, without access-control-allow-origin: the page"
        " sees a CORS error instead.",
    ),
    "stream_cut_short": FindingKind("error", "The answer begins and then breaks off: {failure}."),
    "stranger_echoed_with_credentials": FindingKind(
        "error",
        "Any site may act as the user: a stranger's origin ({value}) is allowed, with credentials.",
    ),
    "stranger_allowed": FindingKind(
        "warning", "Any site is allowed: access-control-allow-origin is {value} for a stranger."
    ),
    "null_allowed": FindingKind(
        "warning",
        "The origin null is allowed: any site can use it, from a sandboxed frame.",
    ),
    "look_alike_allowed": FindingKind(
        "warning",
        "An origin that looks like the page's is allowed, and anybody can register it: {value}.",
    ),
    "key_missing_unreadable": FindingKind(
        "warning",
        "The answer to a call without {key} is an error, {status}, without"
        " access-control-allow-origin: the page cannot read why.",
    ),
    "authorization_under_star": FindingKind(
        "warning",
        "access-control-allow-headers is *, which does not cover authorization in the standard;"
        " today's browsers still let it pass.",
    ),
    "options_taken": FindingKind(
        "warning",
        "The pod answers this OPTIONS call, which is no preflight: the rule for preflights takes"
        " every OPTIONS.",
    ),
    "policy_differs": FindingKind(
        "warning", "The answer to {what} is not what the policy says: {value}."
    ),
    "vary_missing": FindingKind(
        "note",
        "The answer depends on the Origin and does not say so (vary: Origin): a cache may serve it"
        " to another page.",
    ),
    "subdomain_allowed": FindingKind("note", "Pages of subdomains are allowed too: {value}."),
    "max_age_missing": FindingKind(
        "note", "There is no access-control-max-age: browsers ask again after 5 seconds."
    ),
    "max_age_capped": FindingKind("note", "access-control-max-age is {value}."),
    "private_network": FindingKind(
        "note",
        "{host} is a private or loopback address: from a page of a public address, Chromium asks"
        " the user first (Local Network Access), and refuses where the page is not https.{value}",
    ),
    "proxy_not_used": FindingKind(
        "note",
        "{value} names a proxy for this URL. Browsers may use one, and doctor does not: what it"
        " says is of the server itself.",
    ),
    "key_not_checked": FindingKind(
        "note", "A wrong {key} gets {status} too: nothing checks its value."
    ),
    "call_refused": FindingKind(
        "note", "The service answers {status}. The page can read it: CORS is not at fault."
    ),
}


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One thing that is wrong: the layer at fault, and what to write or run.

    `fix` may have several lines; what is to be written or run stands in backticks.
    """

    code: FindingCode
    layer: Layer
    severity: Severity
    message: str
    fix: str
