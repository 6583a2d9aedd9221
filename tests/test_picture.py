"""The README's picture: it is readable, has both color schemes, and shows what happens."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from meshcors import HeaderKey, MeshCORS
from meshcors.browser import Request, Response, judge, preflight_for
from tests.calling import App, call_asgi

ROOT = Path(__file__).parent.parent
PATH = ROOT / "docs" / "preflight.svg"
SOURCE = PATH.read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"
PICTURE = ElementTree.fromstring(SOURCE)
SCENES = PICTURE.findall(f"{SVG}g")
CALL = Request(
    "https://ui.example",
    "https://api.example/v1/predict",
    "POST",
    {"model-api-key": "xyz"},
    "omit",
)


def words(scene: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in scene.iter(f"{SVG}text")]


def test_both_color_schemes_set_the_same_colors_and_no_other_is_used() -> None:
    light, dark = SOURCE.split("@media (prefers-color-scheme: dark)")
    colors = r"(--[\w-]+): (#[0-9a-f]{6});"
    dark = dark.partition("text {")[0]
    assert dict(re.findall(colors, light)).keys() == dict(re.findall(colors, dark)).keys()
    assert set(re.findall(r"var\((--[\w-]+)\)", SOURCE)) == set(dict(re.findall(colors, dark)))
    assert len(re.findall("#[0-9a-f]{6}", SOURCE)) == 2 * len(re.findall(colors, dark))


def luminance(color: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme: int) -> None:
    part = SOURCE.split("@media (prefers-color-scheme: dark)")[scheme].partition("text {")[0]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part))
    for text, grounds in {
        "text": ("panel", "box", "good-box", "bad-box"),
        "quiet": ("panel", "box", "good-box"),
        "good": ("panel",),
        "bad": ("panel",),
    }.items():
        for ground in grounds:
            pair = sorted((luminance(colors[text]), luminance(colors[ground])), reverse=True)
            assert (pair[0] + 0.05) / (pair[1] + 0.05) >= 4.5, f"{text} on {ground}"


def test_no_two_texts_overlap_in_the_widest_common_font() -> None:
    """Verdana and DejaVu Sans are the widest: some 0.65 em a letter, 0.7 in bold."""
    assert len(SCENES) == 3
    width = float(PICTURE.get("width", "0"))
    for scene in SCENES:
        boxes = []
        for text in scene.iter(f"{SVG}text"):
            kind = text.get("class", "")
            size = {"scene": 17, "mono": 13, "sub": 13}.get(kind, 14)
            bold = kind in ("scene", "name") or "-text" in kind
            letter = size * (0.61 if kind == "mono" else 0.7 if bold else 0.65)
            long = letter * len("".join(text.itertext()))
            middle = kind.split()[0] in ("name", "sub", "middle")
            left = float(text.get("x", "0")) - (long / 2 if middle else 0)
            bottom = float(text.get("y", "0"))
            assert left >= 0
            assert left + long <= width
            boxes.append((left, left + long, bottom - size, bottom))
        for at, one in enumerate(boxes):
            for other in boxes[at + 1 :]:
                apart = one[1] <= other[0] or other[1] <= one[0]
                assert apart or one[3] <= other[2] or other[3] <= one[2], words(scene)


def test_the_scenes_show_what_happens() -> None:
    curl, blocked, pod = map(words, SCENES)
    asked = dict(preflight_for(CALL) or ())
    for scene in (blocked, pod):
        assert f"{asked['access-control-request-headers']}" in scene
        assert "access-control-request-headers:" in scene
    assert "model-api-key: xyz" in curl
    assert "model-api-key: xyz" in pod
    assert "model-api-key: xyz" not in blocked
    verdict = judge(CALL, preflight=Response(404))
    shown = " ".join(blocked[-2:])
    pattern = ".*".join(map(re.escape, shown.split("…")))
    assert re.search(pattern, verdict.messages["chromium"])
    key = HeaderKey("model-api-key", ["xyz"])
    app = MeshCORS(App().asgi, allow_origins=[CALL.origin], key=key)
    preflight = call_asgi(app, "OPTIONS", "/v1/predict", list(asked.items()))
    fields = [*CALL.headers, ("origin", CALL.origin)]
    response = call_asgi(app, "POST", "/v1/predict", fields)
    assert f"{preflight.status}, model-api-key is allowed" in pod
    assert f"{response.status}, and the page may read it" in pod
    said = [Response(each.status, each.headers) for each in (preflight, response)]
    assert judge(CALL, preflight=said[0], response=said[1]).allowed


def test_the_readme_shows_it_with_words_for_who_cannot_see_it() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", readme)
    (words_for_it,) = [words for words, target in pictures if ROOT / target == PATH]
    assert len(words_for_it.split()) > 10
    titles = [PICTURE.findtext(f"{SVG}{name}", "").strip() for name in ("title", "desc")]
    assert all(titles)
