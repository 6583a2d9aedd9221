"""Links to the documentation of the installed version."""

from __future__ import annotations

from functools import cache
from importlib import metadata


def docs_link(page: str) -> str:
    """Return the link to a page of ``docs/``, such as ``lint/mc001.md``.

    It begins with the address of the source in the package's metadata. Without one, the path in the
    repository is left.
    """
    return f"{_docs()}/{page}"


@cache
def _docs() -> str:
    try:
        found = metadata.metadata("meshcors")
    except metadata.PackageNotFoundError:
        return "docs"
    for url in found.get_all("Project-URL") or ():
        label, _, address = url.partition(", ")
        if label == "Source":
            return f"{address}/blob/v{found['Version']}/docs"
    return "docs"
