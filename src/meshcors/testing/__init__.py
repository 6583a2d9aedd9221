"""For tests: a page's call over real HTTP, as a browser makes it.

    with Wire() as wire:
        call = wire.fetch(browser.Request("https://ui.example", "http://127.0.0.1:8000/v1"))
    call.verdict.allowed

It needs the extra ``cli``. Nothing is imported from an extra before it is used.
"""

from meshcors.testing._extras import MissingExtraError
from meshcors.testing._fetch import Exchange, PageCall, Wire

__all__ = ["Exchange", "MissingExtraError", "PageCall", "Wire"]
