"""The lab's diagrams: well-formed, escaped, bounded, and told in words."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors._lab.sequence import SequenceStep, StepKind, draw

SVG = "{http://www.w3.org/2000/svg}"
KINDS: tuple[StepKind, ...] = ("ok", "fault", "note")
WAY = [
    SequenceStep("browser", "gateway", "OPTIONS /v1: may I send model-api-key?"),
    SequenceStep("gateway", "gateway", "http[0] asks for its value", "fault"),
    SequenceStep("gateway", "pod", "http[1]", "ok"),
    SequenceStep("pod", "browser", "204", "ok"),
]


def drawn(steps: list[SequenceStep], title: str = "A call") -> ElementTree.Element:
    return ElementTree.fromstring(draw(steps, title=title, name="before"))


def texts(picture: ElementTree.Element, kind: str) -> list[str]:
    return [str(each.text) for each in picture.iter(f"{SVG}text") if each.get("class") == kind]


def test_a_screen_reader_gets_the_title_and_every_step() -> None:
    picture = drawn(WAY, "Right key, before")
    assert (picture.get("role"), picture.get("aria-labelledby")) == (
        "img",
        "before-title before-desc",
    )
    found = {each.get("id"): each.text for each in picture if each.get("id")}
    assert found == {
        "before-title": "Right key, before",
        "before-desc": "1. browser to gateway: OPTIONS /v1: may I send model-api-key?"
        " 2. gateway: http[0] asks for its value (fails). 3. gateway to pod: http[1]."
        " 4. pod to browser: 204.",
    }


def test_a_color_is_never_alone() -> None:
    picture = drawn(WAY)
    assert texts(picture, "actor-name") == ["browser", "gateway", "pod"]
    assert texts(picture, "fault") == ["✗ http[0] asks for its value"]
    assert texts(picture, "ok") == ["✓ http[1]", "✓ 204"]


def test_arrows_point_from_the_sender_to_the_receiver() -> None:
    there, _, back = [
        each for each in drawn(WAY).iter(f"{SVG}line") if "arrow" in each.attrib["class"]
    ]
    assert float(there.attrib["x1"]) < float(there.attrib["x2"])
    assert float(back.attrib["x1"]) > float(back.attrib["x2"])


def test_nothing_needs_what_a_strict_policy_forbids() -> None:
    for each in drawn(WAY).iter():
        assert each.tag.removeprefix(SVG) in (
            "svg", "title", "desc", "text", "rect", "line", "path",
        )  # fmt: skip
        assert "style" not in each.attrib


EVIL = "</text><script>alert(1)</script>\"'&\x00\x1b\u202e\ud800"


def test_what_a_document_says_is_text() -> None:
    picture = drawn([SequenceStep(EVIL, "gateway", EVIL, "fault")], EVIL)
    assert picture.find(f".//{SVG}script") is None
    assert "<script>" in "".join(texts(picture, "fault"))
    assert r"\x00\x1b\u202e\ud800" in str(picture[0].text)


@pytest.mark.parametrize("count", [0, 1, 24, 25, 5000])
def test_a_long_way_keeps_its_beginning_and_its_end(count: int) -> None:
    steps = [SequenceStep("browser", f"service-{place}", f"step {place}") for place in range(count)]
    picture = drawn(steps)
    said = texts(picture, "note")
    assert said[:1] == ["step 0"][:count]
    assert said[-1:] == [f"step {count - 1}"][:count]
    assert len(said) == min(count, 25)
    assert (f"{count - 24} more steps" in said) == (count > 24)
    assert len(texts(picture, "actor-name")) <= 2 * 4


steps = st.builds(
    SequenceStep,
    st.text(min_size=1, max_size=300),
    st.text(min_size=1, max_size=300),
    st.text(max_size=2000),
    st.sampled_from(KINDS),
)


@given(st.lists(steps, max_size=60), st.text(max_size=1000))
def test_anything_is_drawn_within_the_picture(way: list[SequenceStep], title: str) -> None:
    source = draw(way, title=title, name="after")
    assert len(source) < 400_000
    picture = ElementTree.fromstring(source)
    width, height = map(float, picture.attrib["viewBox"].split()[2:])
    assert height < 25 * 100
    for rect in picture.iter(f"{SVG}rect"):
        left, top = float(rect.attrib["x"]), float(rect.attrib["y"])
        assert left >= 0
        assert top >= 0
        assert left + float(rect.attrib["width"]) <= width
        assert top + float(rect.attrib["height"]) <= height
    for text in picture.iter(f"{SVG}text"):
        assert len(str(text.text)) <= 40
