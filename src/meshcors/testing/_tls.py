"""Which certificates are accepted: those of the system, of ``SSL_CERT_FILE`` and of certifi."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

from meshcors.testing._extras import needed


def tls_context(*, insecure: bool) -> ssl.SSLContext:
    """Return the context for the environment as it is now; `insecure` accepts any certificate."""
    own = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    return _tls_with(own, insecure=insecure)


@lru_cache(maxsize=8)
def _tls_with(own: tuple[str, str], *, insecure: bool) -> ssl.SSLContext:
    """Return a context; to read all authorities takes some 30 ms."""
    del own  # read by OpenSSL itself
    context = ssl.create_default_context()
    # httpx brings it; the system's own list may be empty, as on macOS
    context.load_verify_locations(needed("certifi").where())
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
