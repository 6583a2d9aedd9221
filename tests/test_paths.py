"""Paths of requests: which are plain, and which part an app routes on."""

from __future__ import annotations

import pytest

from meshcors._policy.paths import AMBIGUOUS, is_plain_path, never_matches, routed_path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/.well-known/x",
        "/...",
        "/a/..b",
        "/a/b..",
        "/~\xa0\u2028\ue000",
    ],
)
def test_plain(path: str) -> None:
    assert is_plain_path(path) is True


@pytest.mark.parametrize(
    "path",
    [
        *("", "a", "a/", "//", "//a", "/a//", "/a//b", "*", "http://a.example/"),
        *("/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/./b", "/a/../b"),
        *(
            f"/a{character}b"
            for character in "\x00\x01\t\n\r\x1f\x7f\x80\x85\x9f\ufffd\ud800\udfff"
        ),
        *(f"/a{character}b" for character in "\x10\x8f\udabc\udc80"),
        "/a\n",
    ],
)
def test_ambiguous(path: str) -> None:
    assert is_plain_path(path) is False


@pytest.mark.parametrize(
    ("path", "root_path", "routed"),
    [
        pytest.param("/api/v1", "", "/api/v1", id="none"),
        pytest.param("/api/v1", "/", "/api/v1", id="a slash"),
        pytest.param("/api/v1", "/api", "/v1", id="a prefix"),
        pytest.param("/api/v1/x", "/api/v1", "/x", id="of two segments"),
        pytest.param("/api/", "/api", "/", id="a slash left"),
        pytest.param("/api", "/api", AMBIGUOUS, id="nothing left"),
        pytest.param("/v1", "/api", "/v1", id="removed by a proxy"),
        pytest.param("/", "/api", "/", id="removed by a proxy, all of it"),
        pytest.param("/apis/v1", "/api", AMBIGUOUS, id="no whole segment"),
        pytest.param("/apix", "/api", AMBIGUOUS, id="no whole segment, at the end"),
        pytest.param("/v1/api/x", "/api", AMBIGUOUS, id="further on"),
        pytest.param("/v1/api", "/api", AMBIGUOUS, id="at the end"),
        pytest.param("/api/api/x", "/api", "/api/x", id="twice"),
        pytest.param("/api//x", "/api", "//x", id="slashes after it"),
        pytest.param("/Api/v1", "/api", "/Api/v1", id="another letter case"),
    ],
)
def test_routed_path(path: str, root_path: str, routed: str) -> None:
    assert routed_path(path, root_path) == routed


@pytest.mark.parametrize(
    ("path", "root_path", "below", "routed"),
    [
        pytest.param("/api", "", ("", "/api"), AMBIGUOUS, id="an app's own, whole"),
        pytest.param("/api/x", "", ("", "/api"), AMBIGUOUS, id="an app's own"),
        pytest.param("/apix", "", ("", "/api"), "/apix", id="no whole segment of it"),
        pytest.param("/sub/x", "", ("/sub", "/sub"), "/sub/x", id="as its mount has it"),
        pytest.param("/sub/x", "/api", ("/sub", "/sub"), "/sub/x", id="below a proxy"),
        pytest.param("/api/sub/x", "/api", ("/sub", "/api/sub"), "/sub/x", id="with both"),
    ],
)
def test_routed_path_beside_apps_further_below(
    path: str, root_path: str, below: tuple[str, str], routed: str
) -> None:
    assert routed_path(path, root_path, [below]) == routed


def test_letters_are_no_marks_of_a_url() -> None:
    assert never_matches("/X/x") is None
