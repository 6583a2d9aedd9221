"""What a console's message means, and what to write: one table for the command and for the page.

Backticks hold what is to be written as it stands. In braces: the lines that allow the call in the
app, in the pod and in the mesh. docs/console-messages.md is written from this table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors._doctor.grants import grant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcors import browser
    from meshcors._doctor.grants import WantedGrant

# What is no fault of CORS, though consoles print it beside.
OtherCode: TypeAlias = Literal[
    "private_network",
    "mixed_content",
    "content_security_policy",
    "opaque",
    "content_blocker",
    "error_status",
    "only_failed",
]
ConsoleCode: TypeAlias = "browser.Code | OtherCode"


@dataclass(frozen=True, slots=True)
class ConsoleCause:
    """Why a message is printed, and the fix by place.

    - `meaning`: what happened; `at_preflight` and `at_response` add what holds at that step only.
    - `fixes`: what to write in the app, the pod and the mesh; for what is not CORS, what to do.
    - `lint`: the lint rules that find it in documents, and `lint_note` when.
    - `wants`: what a call with this fault has, and what the fix must allow.
    """

    meaning: str
    at_preflight: str = ""
    at_response: str = ""
    fixes: Mapping[str, str] | str = ""
    lint: tuple[str, ...] = ()
    lint_note: str = ""
    wants: Literal["", "method", "credentials"] = ""


CAUSES: Final[Mapping[ConsoleCode, ConsoleCause]] = {
    "acao_missing": ConsoleCause(
        "The answer has no `access-control-allow-origin`. Find out who sent that answer.",
        at_preflight="nothing answered the preflight as CORS requires. Behind a gateway that routes"
        " by a header, no rule took it, because a preflight names the header but never carries it."
        " Without a gateway the app answered `OPTIONS` with 404, 405 or 401, or does not allow this"
        " origin.",
        at_response="the preflight was fine, or none was needed, and the answer to the call itself"
        " lacks the header: an error page, a gateway's own 404 or 503, or an app that adds CORS"
        " headers to its successful answers only.",
        fixes={
            "app": "`{app}`: answers preflights before anything else, and puts the headers on every"
            " answer, errors included",
            "pod": "`{pod}`, a first rule that sends it preflights, and a last one for what no"
            " other rule takes",
            "mesh": "`{mesh}`",
        },
        lint=("MC001", "MC002", "MC003", "MC005", "MC008", "MC016", "MC019", "MC025"),
    ),
    "preflight_not_ok": ConsoleCause(
        "The status of the answer to the preflight is not 200 to 299: something answers `OPTIONS`"
        " with 401, 404 or 405, or with 400, as Starlette's CORSMiddleware does for a method or a"
        " header that it does not list. Chromium and Firefox print this only if the answer allows"
        " the page's origin. Safari checks the status first: there it may also be the 404 of a"
        " gateway that has no rule for preflights.",
        fixes={
            "app": "`{app}` as the outermost layer: preflights never reach routing, authentication"
            " or body checks",
            "pod": "`{pod}`: it answers preflights with 204",
            "mesh": "`{mesh}`: Envoy answers 200",
        },
    ),
    "preflight_redirect": ConsoleCause(
        "The preflight was answered with a redirect: to `https`, to the URL with a trailing slash,"
        " to a login page. Firefox names a missing `access-control-allow-origin` first. Calling the"
        " URL that the redirect leads to is the first thing to try.",
        fixes={
            "app": "`{app}` outside what redirects: it answers the preflight first, and the browser"
            " follows the call's own redirect",
            "pod": "`{pod}`, and a rule for preflights before the one that redirects",
            "mesh": "`{mesh}` on a rule with a `route`: next to `redirect` it does nothing",
        },
        lint=("MC001", "MC003"),
    ),
    "header_not_allowed": ConsoleCause(
        "The script sets a header that the answer does not list. `*` does not cover it in a"
        " call with credentials, and by the standard it never covers `authorization`, which"
        " today's browsers still let pass. The message names one header; more may be missing.",
        fixes={
            "app": "`{app}`: a policy's key is always listed, and so are `content-type` and the"
            " other safelisted names; list others in `allow_headers`",
            "pod": "`{pod}`, and `--allow-header NAME` for others",
            "mesh": "`{mesh}`: here `content-type` must be listed too",
        },
        lint=("MC013", "MC024"),
    ),
    "method_not_allowed": ConsoleCause(
        "The method is not listed. Methods are compared case-sensitively: a script that says"
        " `patch` needs `PATCH` in the script, not in the policy. `*` does not cover it in a"
        " call with credentials.",
        fixes={"app": "`{app}`", "pod": "`{pod}`", "mesh": "`{mesh}`"},
        lint=("MC024",),
        wants="method",
    ),
    "acao_multiple": ConsoleCause(
        "Two layers add the header, or a server lists several origins in it. Exactly one origin may"
        " be there: the page's.",
        fixes={
            "app": "`{app}`: what the app sets itself is dropped, so exactly one set leaves the"
            " process; then leave the header to it, and let no proxy add one",
            "pod": "it answers preflights only: look at the service and at the gateway",
            "mesh": "`{mesh}` replaces what the service sends; remove `access-control-*` from"
            " `headers.response`",
        },
        lint=("MC018",),
    ),
    "acao_mismatch": ConsoleCause(
        "The header names another origin, a pattern, or an origin with a path or a slash at its"
        " end. If it is the origin of another page of yours, a cache kept that page's answer,"
        " because `vary: Origin` was missing.",
        fixes={
            "app": "`{app}`: answers each allowed origin with itself, and sends `vary: Origin`; for"
            " several, list them or write `https://*.ui.example`",
            "pod": "`{pod}`",
            "mesh": "`{mesh}`; remove `access-control-*` from `headers.response`",
        },
        lint=("MC018",),
    ),
    "acao_wildcard_with_credentials": ConsoleCause(
        'The call has `credentials: "include"` (in XMLHttpRequest `withCredentials`), and the'
        " answer allows every origin. If the call needs no cookies, remove the option from the"
        " script: a token in a header is not credentials in this sense. Otherwise, name the"
        " origins.",
        fixes={"app": "`{app}`", "pod": "`{pod}`", "mesh": "`{mesh}`"},
        lint=("MC011", "MC018"),
        wants="credentials",
    ),
    "acac_not_true": ConsoleCause(
        'The call has `credentials: "include"`, and the answer does not have'
        " `access-control-allow-credentials: true`, in lower case and once. It belongs on the"
        " preflight's answer and on the call's.",
        fixes={"app": "`{app}`", "pod": "`{pod}`", "mesh": "`{mesh}`"},
        wants="credentials",
    ),
    "methods_malformed": ConsoleCause(
        "The list of methods has something in it that is not a method name: spaces instead of"
        " commas, quotes, brackets. One bad element spoils the whole list.",
        fixes={
            "app": "`{app}`: a list of names; one that is not a method name is refused at start",
            "pod": "`{pod}`",
            "mesh": "`{mesh}`",
        },
        lint=("MC000",),
        lint_note="where a `corsPolicy` has it",
        wants="method",
    ),
    "headers_malformed": ConsoleCause(
        "The list of headers has something in it that is not a header name: spaces instead of"
        " commas, quotes, brackets. One bad element spoils the whole list.",
        fixes={
            "app": "`{app}`: one in `allow_headers` that is not a header name is refused at start",
            "pod": "`{pod}`",
            "mesh": "`{mesh}`",
        },
        lint=("MC000",),
        lint_note="where a `corsPolicy` has it",
    ),
    "network_error": ConsoleCause(
        "No answer came at all, or a redirect led to a URL that is not http or https. This is not"
        " CORS, whatever Firefox calls it: look at the name, the port, the certificate and the"
        " firewall. Chromium names the failure after `ERR_`, such as `ERR_CONNECTION_REFUSED`."
        " After any failed preflight Firefox prints this line too; the line before it gives the"
        " cause.",
    ),
    "private_network": ConsoleCause(
        "A page of a public site calls an address of a private network or of the user's own"
        " machine. Chromium asks the user for permission first, and only pages served over"
        " https may ask.",
        fixes="Serve the page over https, and allow access to the local network where the browser"
        " asks; in a frame, the frame needs the permission too. Where the message names"
        " Access-Control-Allow-Private-Network, set `allow_private_network` in the policy.",
    ),
    "mixed_content": ConsoleCause(
        "An https page calls an http URL. Browsers block that before CORS, and send nothing.",
        fixes="Serve the API over https, and call it there.",
    ),
    "content_security_policy": ConsoleCause(
        "The page's own Content-Security-Policy does not let it call this URL. Nothing was sent.",
        fixes="Add the API's origin to `connect-src` in that policy: it is the page's server that"
        " sends it, not the API.",
    ),
    "opaque": ConsoleCause(
        'A call with `mode: "no-cors"`, or an element without `crossorigin`, got an answer that the'
        " page must not see. No CORS header changes that.",
        fixes='Call with `mode: "cors"`, which is the default, and let the server allow the page.',
    ),
    "content_blocker": ConsoleCause(
        "An extension of the browser, such as an ad blocker, stopped the call. Nothing was sent.",
        fixes="Try it without extensions. Users may have one too: another host or path may help.",
    ),
    "error_status": ConsoleCause(
        "An answer came, with this status. That alone does not block the page: it is blocked"
        " only if another line says so.",
        fixes="Read the answer's body in the network tab. If the status is that of a preflight,"
        " look for the line about CORS.",
    ),
    "only_failed": ConsoleCause(
        "This only says that the call failed: scripts are not told why. The browser prints the"
        " reason on a line of its own.",
        fixes="Paste that line: it names CORS, access control or the network.",
    ),
}


def fix_lines(code: ConsoleCode, want: WantedGrant) -> dict[str, str]:
    """Return what to write, by place, for a call that needs `want`; empty if it is not CORS."""
    fixes = CAUSES[code].fixes
    if isinstance(fixes, str):
        return {}
    # the app lists the key by itself
    names = tuple(name for name in want.names if name != want.key)
    app = grant("meshcors", replace(want, names=names))
    if want.key:
        app = f'{app.removesuffix(")")}, key=HeaderKey("{want.key}", ["xyz"]))'
    lines = {"app": app, "pod": grant("pod", want), "mesh": grant("envoy_cors", want)}
    return {place: text.format_map(lines) for place, text in fixes.items()}
