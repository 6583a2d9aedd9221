"""A pasted message of a console: recognised, whoever printed it and however it was copied."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import _cli as cli
from meshcors._cli import doctor
from meshcors._doctor.causes import CAUSES
from meshcors._doctor.console import LONGEST_PASTE, ConsoleMessage, read_console
from meshcors._doctor.engines import ENGINES, EngineName, mixed_content
from meshcors.browser import Code, Request, Response, Verdict, follow, judge, judge_response
from meshcors.testing._quoting import Quoting
from tests.browser_cases import ACAC, ACAH, ACAM, ACAO, API, CASES, PAGE, Answers, Case
from tests.console_page import EXAMPLES


def expected(engine: str, request: Request, answers: Answers, verdict: Verdict) -> str:
    """The code that an engine's words are about: another one where it looks in another order."""
    at_preflight = answers.preflight if verdict.step == "preflight" else None
    if engine == "safari" and at_preflight and not 200 <= at_preflight.status <= 299:
        return "preflight_not_ok"
    if engine == "firefox" and at_preflight and verdict.code == "preflight_redirect":
        checked = judge_response(request, Response(200, at_preflight.headers))
        return verdict.code if checked.allowed else checked.code
    answer = at_preflight or answers.response
    if engine == "chromium" and verdict.code == "acao_mismatch" and answer:
        return "acao_multiple" if " " in (answer.get(ACAO) or "") else verdict.code
    return verdict.code


def check(request: Request, answers: Answers, verdict: Verdict) -> None:
    """Each engine's message, as it is and squeezed by a paste, is what it is about."""
    first = request.redirected_from or request
    for engine in ENGINES:
        text = verdict.messages[engine]
        if not text:
            continue
        (message,) = read_console(text)
        assert message.engine == engine
        code = expected(engine, request, answers, verdict)
        assert code in (message.code, message.also), text
        if code != "network_error" or engine == "firefox":
            assert message.url == request.url
        if engine == "chromium" and code != "network_error":
            assert (message.origin, message.redirected_from) == (
                first.origin,
                "" if first is request else first.url,
            )
            assert message.step == verdict.step
        assert message.step in ("", verdict.step)
        assert message.origin in ("", first.origin, request.origin)
        if engine == "safari" and code in ("acao_missing", "acao_mismatch"):
            assert message.origin == request.origin
        if message.field:
            assert message.field.lower() == verdict.field.lower() or engine == "safari"


def hops(case: Case) -> list[tuple[Request, Answers, Verdict]]:
    """Every request of a case with its answers and verdict, along its redirects."""
    made, request = [], case.request
    for answers in case.answers:
        verdict = judge(request, preflight=answers.preflight, response=answers.response)
        made.append((request, answers, verdict))
        moved = follow(request, answers.response) if answers.response and verdict.allowed else None
        if moved is None:
            break
        request = moved
    return made


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_what_the_model_prints_is_recognised(case: Case) -> None:
    for request, answers, verdict in hops(case):
        check(request, answers, verdict)


HOSTILE = st.text(
    # a closing parenthesis after a quote would be the end of Firefox's sentence
    st.characters(codec="latin-1", exclude_characters="\0\r\n)"),
    max_size=30,
) | st.sampled_from(
    ["*", "https://ui.example", "a, b", "x-a", "PUT", "'", "', but only one is allowed."]
)
PATHS = ["/v1", "/v1?key=secret", "/it's", "/a'from", "/(v1)", "/v1.", "/a(redirected)"]


@st.composite
def answers(draw: st.DrawFn) -> Response | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    names = st.sampled_from([ACAO, ACAO, ACAC, ACAM, ACAH, "location"])
    good = st.sampled_from(
        [(ACAO, "https://ui.example"), (ACAC, "true"), (ACAM, "PUT"), (ACAH, "x-a, X-B")]
    )
    lines = draw(st.lists(good | st.tuples(names, HOSTILE), max_size=5))
    return Response(draw(st.sampled_from([200, 204, 307, 401, 404, 503])), lines)


REQUESTS = st.builds(
    Request,
    st.sampled_from(["https://ui.example", "null", "http://localhost:3000"]),
    st.sampled_from([f"https://api.example{path}" for path in PATHS]),
    st.sampled_from(["GET", "PUT", "patch", "QUERY"]),
    st.lists(st.sampled_from([("x-a", "1"), ("X-B", "2"), ("authorization", "t")]), max_size=3),
    st.sampled_from(["omit", "include"]),
)


@given(request=REQUESTS, preflight=answers(), response=answers())
def test_whatever_is_answered_the_message_is_recognised(
    request: Request, preflight: Response | None, response: Response | None
) -> None:
    verdict = judge(request, preflight=preflight, response=response)
    check(request, Answers(preflight, response), verdict)


CALL = (
    "Access to fetch at 'https://api.example/v1?key=s' from origin 'https://ui.example' has been "
)
DISALLOWED = (
    "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at "
    "https://api.example/v1"
)
MISSING = "No 'Access-Control-Allow-Origin' header is present on the requested resource."
REAL: dict[str, tuple[str, list[ConsoleMessage]]] = {
    "Chromium's with its companions": (
        f"""app.js:12 {CALL}blocked by CORS policy: Response to preflight request doesn't pass
        access control check: {MISSING}
        app.js:12  POST https://api.example/v1?key=s net::ERR_FAILED 404 (Not Found)
        (anonymous) @ app.js:12
        Uncaught (in promise) TypeError: Failed to fetch
            at app.js:12:5""",
        [
            ConsoleMessage(
                "chromium",
                "acao_missing",
                step="preflight",
                url="https://api.example/v1?key=s",
                origin="https://ui.example",
                method="POST",
                kind="fetch",
            )
        ],
    ),
    "an older Chromium's": (
        f"{CALL}blocked by CORS policy: {MISSING} If an opaque response serves your needs, set the "
        "request's mode to 'no-cors' to fetch the resource with CORS disabled.",
        [
            ConsoleMessage(
                "chromium",
                "acao_missing",
                step="response",
                url="https://api.example/v1?key=s",
                origin="https://ui.example",
                kind="fetch",
            )
        ],
    ),
    "a font after a redirect, from a file": (
        "Access to font at 'https://b.example/x.woff' (redirected from 'https://a.example/x.woff') "
        f"from origin 'null' has been blocked by CORS policy: {MISSING}",
        [
            ConsoleMessage(
                "chromium",
                "acao_missing",
                step="response",
                url="https://b.example/x.woff",
                origin="null",
                redirected_from="https://a.example/x.woff",
                kind="font",
            )
        ],
    ),
    "the end alone": (
        "Method PUT is not allowed by Access-Control-Allow-Methods in preflight response.",
        [
            ConsoleMessage(
                "chromium", "method_not_allowed", step="preflight", field="PUT", method="PUT"
            )
        ],
    ),
    "Firefox's two lines, with straight quotes": (
        f"{DISALLOWED}. (Reason: CORS header 'Access-Control-Allow-Origin' missing). Status code: "
        f"404. app.js:12:5\n{DISALLOWED}. (Reason: CORS request did not succeed). Status code: "
        "(null).\n"
        "Uncaught (in promise) TypeError: NetworkError when attempting to fetch resource.",
        [ConsoleMessage("firefox", "acao_missing", url="https://api.example/v1", status=404)],
    ),
    "Firefox's three lines for a redirected preflight": (
        f"{DISALLOWED}. (Reason: CORS request external redirect not allowed).\n{DISALLOWED}. "
        f"(Reason: CORS preflight response did not succeed). Status code: 307.\n{DISALLOWED}. "
        "(Reason: CORS request did not succeed). Status code: (null).",
        [
            ConsoleMessage(
                "firefox", "preflight_redirect", step="preflight", url="https://api.example/v1"
            )
        ],
    ),
    "an older Firefox's": (
        f"{DISALLOWED}. (Reason: missing token \u2018x-a\u2019 in CORS header "
        "\u2018Access-Control-Allow-Headers\u2019 from CORS preflight channel).",
        [
            ConsoleMessage(
                "firefox",
                "header_not_allowed",
                step="preflight",
                url="https://api.example/v1",
                field="x-a",
            )
        ],
    ),
    "Safari's three lines": (
        "[Error] Origin https://ui.example is not allowed by Access-Control-Allow-Origin. Status "
        "code: 404\n[Error] XMLHttpRequest cannot load https://api.example/v1 due to access "
        "control checks.\n[Error] Failed to load resource: Origin https://ui.example is not "
        "allowed by Access-Control-Allow-Origin. Status code: 404 (v1, line 0)\n"
        "[Error] Unhandled Promise Rejection: TypeError: Load failed",
        [
            ConsoleMessage(
                "safari",
                "acao_missing",
                also="acao_mismatch",
                step="response",
                url="https://api.example/v1",
                origin="https://ui.example",
                status=404,
                kind="XMLHttpRequest",
            )
        ],
    ),
    "Safari's, of two calls": (
        "Preflight response is not successful. Status code: 404\n"
        "Fetch API cannot load https://api.example/a due to access control checks.\n"
        "Preflight response is not successful. Status code: 404\n"
        "Fetch API cannot load https://api.example/b due to access control checks.\n",
        [
            ConsoleMessage(
                "safari",
                "preflight_not_ok",
                step="preflight",
                url=f"https://api.example/{path}",
                status=404,
                kind="fetch",
            )
            for path in "ab"
        ],
    ),
    "Safari's without a reason": (
        "Fetch API cannot load https://api.example/v1 due to access control checks.",
        [ConsoleMessage("safari", "only_failed", url="https://api.example/v1", kind="fetch")],
    ),
    "Safari's, of a host that is not there": (
        "[Error] A server with the specified hostname could not be found.\n[Error] Fetch API "
        "cannot load https://api.example/v1 due to access control checks.\n[Error] Failed to load "
        "resource: A server with the specified hostname could not be found. (v1, line 0)",
        [ConsoleMessage("safari", "network_error", url="https://api.example/v1")],
    ),
}
NAMED: dict[str, tuple[str, str, str]] = {
    "local network": (
        f"{CALL}blocked by CORS policy: Permission was denied for this request to access the "
        "`loopback` address space.",
        "chromium",
        "private_network",
    ),
    "private network": (
        f"{CALL}blocked by CORS policy: The request client is not a secure context and the "
        "resource is in more-private address space `private`.",
        "chromium",
        "private_network",
    ),
    "private network preflight": (
        f"{CALL}blocked by CORS policy: Response to preflight request doesn't pass access control "
        "check: No 'Access-Control-Allow-Private-Network' header was present in the preflight "
        "response for this private network request targeting the `local` address space.",
        "chromium",
        "private_network",
    ),
    "request mode": (
        f"{CALL}blocked by CORS policy: Cross origin requests are not allowed by request mode.",
        "chromium",
        "opaque",
    ),
    "ORB": ("GET https://api.example/x net::ERR_BLOCKED_BY_ORB", "chromium", "opaque"),
    "refused": (
        "POST https://api.example/v1 net::ERR_CONNECTION_REFUSED",
        "chromium",
        "network_error",
    ),
    "blocker": (
        "GET https://api.example/ads net::ERR_BLOCKED_BY_CLIENT",
        "chromium",
        "content_blocker",
    ),
    "net failed": ("Failed to load resource: net::ERR_FAILED", "chromium", "only_failed"),
    "TypeError in Chromium": ("TypeError: Failed to fetch", "chromium", "only_failed"),
    "TypeError in Firefox": (
        "TypeError: NetworkError when attempting to fetch resource.",
        "firefox",
        "only_failed",
    ),
    "TypeError in Safari": ("TypeError: Load failed", "safari", "only_failed"),
    "Chromium's network tab": ("(failed) CORS error", "chromium", "only_failed"),
    "Firefox's network tab": ("CORS Missing Allow Origin", "firefox", "acao_missing"),
    "axios": ("AxiosError: Network Error", "", "only_failed"),
    "status": (
        "Failed to load resource: the server responded with a status of 404 (Not Found)",
        "",
        "error_status",
    ),
    "Chromium's mixed content": (
        "Mixed Content: The page at 'https://ui.example/' was loaded over HTTPS, but requested an "
        "insecure XMLHttpRequest endpoint 'http://api.example/v1'. This request has been blocked; "
        "the content must be served over HTTPS.",
        "chromium",
        "mixed_content",
    ),
    "Firefox's mixed content": (
        "Blocked loading mixed active content \u201chttp://api.example/v1\u201d",
        "firefox",
        "mixed_content",
    ),
    "Safari's mixed content": (
        "[blocked] The page at https://ui.example/ requested insecure content from "
        "http://api.example/v1. This content was blocked and must be served over HTTPS.",
        "safari",
        "mixed_content",
    ),
    "Chromium's policy of the page": (
        "Connecting to 'https://api.example/v1' violates the following Content Security Policy "
        "directive: \"connect-src 'self'\". The action has been blocked.",
        "chromium",
        "content_security_policy",
    ),
    "Firefox's policy of the page": (
        "Content-Security-Policy: The page\u2019s settings blocked the loading of a resource "
        "(connect-src) at https://api.example/v1 because it violates the following directive: "
        "\u201cconnect-src 'self'\u201d",
        "firefox",
        "content_security_policy",
    ),
}


@pytest.mark.parametrize(
    ("text", "messages"), [pytest.param(*row, id=name) for name, row in REAL.items()]
)
def test_what_people_paste_is_recognised(text: str, messages: list[ConsoleMessage]) -> None:
    assert list(read_console(text)) == messages


@pytest.mark.parametrize(
    ("text", "engine", "code"), [pytest.param(*row, id=name) for name, row in NAMED.items()]
)
def test_what_is_not_cors_is_named(text: str, engine: str, code: str) -> None:
    (message,) = read_console(text)
    assert (message.engine, message.code) == (engine, code)
    assert message.url in ("", *(word.strip("'.\u201c\u201d") for word in text.split()))


@given(
    text=st.sampled_from(
        [*(text for text, _ in REAL.values()), *(row[0] for row in NAMED.values())]
    ),
    breaks=st.lists(
        st.tuples(st.integers(0, 1000), st.sampled_from(" \n\t\u00a0\u200b")), max_size=9
    ),
)
def test_a_paste_may_be_broken_anywhere(text: str, breaks: list[tuple[int, str]]) -> None:
    broken = text.replace("'", "\u2019")
    for place, white in breaks:
        broken = broken[: place % len(broken)] + white + broken[place % len(broken) :]
    assert read_console(broken) == read_console(text)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_doctor_prints_of_mixed_content_is_recognised(engine: EngineName) -> None:
    url = "http://api.example/v1"
    (message,) = read_console(mixed_content(Request(PAGE, url), engine, Quoting()).console)
    assert (message.engine, message.code, message.url) == (engine, "mixed_content", url)


def test_every_code_has_its_meaning() -> None:
    named = {row[2] for row in NAMED.values()} - {"acao_missing"}
    assert set(CAUSES) == (set(get_args(Code)) | named) - {"allowed"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Uncaught ReferenceError: x is not defined",
        "Quellübergreifende (Cross-Origin) Anfrage blockiert: Die Gleiche-Quelle-Regel verbietet"
        " das Lesen der externen Ressource auf https://api.example/v1. (Grund: CORS-Kopfzeile"
        " 'Access-Control-Allow-Origin' fehlt). Statuscode: 404.",
        "has been blocked by CORS policy: nothing of this",
    ],
)
def test_other_text_is_not_recognised(text: str) -> None:
    assert read_console(text) == ()


PIECES = [
    "Access to fetch at '",
    "https://api.example/",
    "' from origin '",
    "has been blocked by CORS policy: ",
    DISALLOWED.removesuffix("https://api.example/v1"),
    ". (Reason: CORS header 'Access-Control-Allow-Origin' does not match '",
    "Failed to load resource:",
    "Cross-origin redirection to ",
    "Fetch API cannot load https://",
    "Cannot load https://",
    "Cannot load https:// due to access control checks",
    "Mixed Content: The page at '",
    "Refused to connect to 'https://",
    "GET https://",
    "Method ",
    "Origin https://",
    "x",
]


@pytest.mark.parametrize("piece", PIECES)
def test_the_longest_paste_is_read(piece: str) -> None:
    text = (piece * LONGEST_PASTE)[:LONGEST_PASTE]
    # A pattern that ran through all of it at each place would take minutes here.
    read_console(text)
    with pytest.raises(ValueError, match="more than 16384 characters"):
        read_console(f"{text}x")


# --- the command


def console(capsys: pytest.CaptureFixture[str], text: str, *flags: str) -> tuple[int, str, str]:
    code = cli.run(["doctor", "--console", text, *flags])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


SECRET = (
    "Access to fetch at 'https://me:pass@api.example/v1?key=secret#secret' from origin "
    "'https://ui.example' has been blocked by CORS policy: Method PATCH is not allowed by "
    "Access-Control-Allow-Methods in preflight response."
)


def test_the_text_says_what_the_message_says(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = console(capsys, SECRET)
    assert (code, err) == (0, "")
    first, call, *rest = out.splitlines()
    assert first == "Chromium: method_not_allowed, in the answer to the preflight"
    assert call == "  A page of https://ui.example calls PATCH https://\u2026@api.example/v1?\u2026"
    assert "secret" not in out
    assert "pass@" not in out
    assert "  pod:  `--allow-origin https://ui.example --allow-method PATCH`" in rest
    assert (
        "  meshcors doctor https://api.example/v1 --origin https://ui.example --method PATCH"
        in rest
    )


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = console(capsys, SECRET, "--format", "json")
    assert (code, err) == (0, "")
    (message,) = json.loads(out)["messages"]
    assert "secret" not in out
    assert "pass" not in out
    assert {name: message[name] for name in ("engine", "code", "step", "method", "status")} == {
        "engine": "chromium",
        "code": "method_not_allowed",
        "step": "preflight",
        "method": "PATCH",
        "status": None,
    }
    assert sorted(message["fixes"]) == ["app", "mesh", "pod"]
    assert message["commands"][0].startswith("meshcors doctor https://api.example/v1 --origin")


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("form", ["text", "json"])
def test_every_real_message_is_explained(
    name: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, messages = REAL[name]
    code, out, err = console(capsys, text, "--format", form)
    assert (code, err) == (0, "")
    assert all(message.code in out for message in messages)


def test_a_command_that_is_offered_is_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "models.yaml"
    file.write_text((Path(__file__).parent / "data" / "virtualservice_original.yaml").read_text())
    for example in EXAMPLES:
        for text in example.verdict.messages.values():
            _, out, _ = console(capsys, text, "--format", "json")
            for offered in json.loads(out)["messages"][0]["commands"]:
                words = shlex.split(offered.replace("ORIGIN", PAGE).replace("URL", f"{API}/v1"))
                assert words[0] == "meshcors"
                if words[1] == "doctor":
                    with doctor.command.make_context("doctor", words[2:]) as context:
                        assert context.params["console"] is None
                else:
                    assert cli.run([*words[1:2], str(file), *words[3:]]) in (0, 1), offered
                    capsys.readouterr()


def test_it_reads_stdin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SECRET.encode() + b"\xff")))
    code, out, _ = console(capsys, "-")
    assert (code, "method_not_allowed" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--console", "nothing"], "no known message", id="unknown"),
        pytest.param(["--console", ""], "no known message", id="empty"),
        *(
            pytest.param(["--console", text], "CORS does not apply: the app or a gateway", id=name)
            for name, text in {
                "websocket": "WebSocket connection to 'ws://localhost:8000/ws' failed: ",
                "websocket-firefox": "Firefox can\u2019t establish a connection to the server at"
                " wss://api.example/ws.",
            }.items()
        ),
        pytest.param(["--console", "x" * 16_385], "more than 16384 characters", id="too long"),
        pytest.param(["https://a.example", "--console", "x"], "give either", id="with a URL"),
        pytest.param(["--console", "x", "--origin", "secret"], "give either", id="with an origin"),
    ],
)
def test_what_is_no_message_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["doctor", *words]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert said in printed.err
    assert "secret" not in printed.err


def test_a_message_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = console(capsys, SECRET.replace("ui.example'", "ui.ex\x1b[31m\u202eample'"))
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize(
    ("url", "origin", "words"),
    [
        ("https://api.example/", 'https://u"}, {regex: ".*', ["https://api.example/", "ORIGIN"]),
        ("https://api.example/", "https://u';id;'", ["https://api.example/", "ORIGIN"]),
        ("https://api.example/", "--insecure", ["https://api.example/", "ORIGIN"]),
        ("--config=/etc/passwd", "https://ui.example", ["URL", "https://ui.example"]),
        ("file:///etc/passwd", "null", ["URL", "null"]),
        (
            "https://a/$(id);'\"",
            "https://ui.example",
            ["https://a/$(id);'\"", "https://ui.example"],
        ),
    ],
)
def test_a_paste_adds_nothing_to_commands_and_fixes(
    url: str, origin: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"Access to fetch at '{url}' from origin '{origin}' has been blocked by CORS policy: "
    text += "No 'Access-Control-Allow-Origin' header is present on the requested resource."
    code, out, _ = console(capsys, text, "--format", "json")
    assert code == 0
    (message,) = json.loads(out)["messages"]
    first, *_ = message["commands"]
    assert shlex.split(first) == ["meshcors", "doctor", words[0], "--origin", words[1]]
    assert "regex" not in str(message["fixes"])
    assert "--insecure" not in str(message["fixes"])


@pytest.mark.parametrize("name", ["*", "&a", "!x", "|", "'a", "x$HOME", "--insecure", "`id`"])
def test_a_header_that_no_program_sends_is_not_repeated(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`*` is a name too, by the standard: nobody is to allow every header for it."""
    text = "Access to fetch at 'https://api.example/' from origin 'https://ui.example' has been"
    text += f" blocked by CORS policy: Request header field {name} is not allowed by"
    text += " Access-Control-Allow-Headers in preflight response."
    code, out, _ = console(capsys, text, "--format", "json")
    assert code == 0
    (message,) = json.loads(out)["messages"]
    assert (message["code"], message["field"]) == ("header_not_allowed", None)
    assert not any(f"{name}{end}" in out for end in (": VALUE", "]", '"'))
    assert "  Header:" not in console(capsys, text)[1]
