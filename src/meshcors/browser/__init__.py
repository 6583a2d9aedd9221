"""The Fetch standard's CORS protocol as a function: what a browser does with a server's answers.

    request = Request("https://ui.example", "https://api.example/v1", method="PUT")
    verdict = judge(request, preflight=Response(404), response=None)
    verdict.code                  # "acao_missing"
    verdict.messages["chromium"]  # the line in the console

It follows the standard (https://fetch.spec.whatwg.org/) and nothing else; docs/browser.md lists
where engines depart from it. The mode is always ``cors``: ``no-cors`` calls, which never show their
answer to a script, are out of scope. So is everything that is decided elsewhere: mixed content,
Private Network Access, HTTP caching.

No I/O, no clock. `Request` refuses what ``new Request()`` refuses; judging never raises, whatever
the answers contain.
"""

from meshcors._policy.max_age import MAX_AGE_CAPS
from meshcors.browser._cache import PreflightCache
from meshcors.browser._faults import Code, Step
from meshcors.browser._judgement import Verdict, follow, judge, judge_preflight, judge_response
from meshcors.browser._request_response import (
    Credentials,
    HeaderLines,
    Request,
    Response,
    preflight_for,
)

__all__ = [
    "MAX_AGE_CAPS",
    "Code",
    "Credentials",
    "HeaderLines",
    "PreflightCache",
    "Request",
    "Response",
    "Step",
    "Verdict",
    "follow",
    "judge",
    "judge_preflight",
    "judge_response",
    "preflight_for",
]
