"""The admin page in a real browser: opened, filled in and read."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.dummy_process import KEY, UI, PodProcess, running
from tests.e2e.browsers import launch
from tests.e2e.browsers.chromium import Chromium, ChromiumPage

EVIL = "https://<img src=x onerror=document.title='owned'>"

FILL_IN = """(values) => {
  const form = document.forms[0];
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  form.querySelector("button").click();
}"""
VERDICT = """() => {
  const shown = document.getElementById("verdict");
  return shown && {text: shown.textContent, color: getComputedStyle(shown).color,
                   method: document.forms[0].elements.method.defaultValue};
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with launch("chromium") as started:
        yield started


@pytest.fixture(scope="module")
def pod() -> Iterator[PodProcess]:
    with running() as started:
        yield started


def await_verdict(page: ChromiumPage, method: str) -> dict[str, str]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            found = page.run(VERDICT)
        except AssertionError:  # the old page is being replaced by the new one
            found = None
        if found and found["method"] == method:
            return found
        time.sleep(0.05)
    raise AssertionError("no verdict was shown")


def test_page_tells_whether_a_browser_would_allow_a_call(
    browser: Chromium, pod: PodProcess
) -> None:
    page = browser.open(f"http://127.0.0.1:{pod.admin_port}/")
    assert page.run("() => document.querySelector('h1').textContent") == "Preflight pod"
    call = {"origin": UI, "url": "https://models.example/v1", "headers": f"content-type,{KEY}"}
    page.run(FILL_IN, {**call, "method": "PUT"})
    refused = await_verdict(page, "PUT")
    assert refused["text"] == "No: method_not_allowed"
    page.run(FILL_IN, {**call, "method": "POST"})
    allowed = await_verdict(page, "POST")
    assert allowed["text"] == "Yes, it is allowed."
    # The page's own security policy allows its style.
    assert (refused["color"], allowed["color"]) == ("rgb(153, 0, 0)", "rgb(0, 102, 0)")
    assert page.run("() => document.scripts.length") == 0
    assert page.run("() => performance.getEntriesByType('resource').length") == 0
    assert [line for line in page.console() if "Content Security Policy" in line] == []


def test_what_requests_say_is_shown_as_text(browser: Chromium, pod: PodProcess) -> None:
    pod.preflight(origin=EVIL)
    page = browser.open(f"http://127.0.0.1:{pod.admin_port}/")
    assert page.run("(evil) => document.body.textContent.includes(evil)", EVIL)
    assert page.run("() => document.images.length") == 0
    page.run(FILL_IN, {"origin": EVIL, "url": '"><script>document.title="owned"</script>'})
    await_verdict(page, "POST")
    assert page.run("() => document.title") == "meshcors: preflight pod"
    assert page.run("() => document.forms[0].elements.origin.value") == EVIL
