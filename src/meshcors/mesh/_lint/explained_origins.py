"""The explanations of the lint rules about origins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meshcors.mesh._lint.explained import Explanation

ORIGIN_EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    "MC004": Explanation(
        finds=(
            '`allowCredentials: true` together with an origin that matches any site: `exact: "*"`,'
            " or a regex or prefix that matches everything."
        ),
        why=(
            "Envoy does not send `*`. It echoes the origin of the request, so any site can call"
            " with the user's cookies and read the answer."
        ),
        fix=(
            "List the origins (`meshcors fix --allow-origin` writes them into the file), or remove"
            " `allowCredentials`."
        ),
        not_reported="policies without `allowCredentials`, because no cookies are sent.",
    ),
    "MC005": Explanation(
        finds=(
            "An `exact` origin that no browser sends, and a `prefix` or `regex` that matches no"
            " origin a browser sends."
        ),
        why=(
            "Browsers send scheme, host and port in lower case, without the scheme's default port"
            " and without a slash: `https://ui.example`. Envoy compares strings, so `ui.example`"
            " (istio/istio#23757), `https://ui.example/`, `https://ui.example:443` and"
            " `https://*.ui.example` never match. In `exact` and `prefix`, `*` is a character like"
            " any other, and no host has it."
        ),
        fix="Write the origin as browsers send it. For wildcards, write a regex.",
        not_reported=(
            '`exact: "*"`, which Envoy takes for any origin, `null`, see MC022, and a regex for a'
            " part of an origin, see MC008."
        ),
    ),
    "MC006": Explanation(
        finds="A regex that RE2 refuses, anywhere in the document.",
        why=(
            "Envoy refuses its whole configuration for one such regex, so Istio refuses the"
            ' document. The most common one is `regex: "*"` (istio/istio#27364). Look-ahead and'
            " back references are not in RE2. No other lint rule looks at such a document; the"
            " other documents of the file are checked as usual."
        ),
        fix="Write a regex that RE2 accepts, or list exact origins.",
        not_reported="",
    ),
    "MC007": Explanation(
        finds="A dot in the regex of an origin that is meant as a dot and matches any character.",
        why=(
            r"`https://ui.example\.com` also allows `https://ui-example.com`, which anyone can"
            " register."
        ),
        fix=r"Write `\.`.",
        not_reported="repeated dots, as in `.*`. MC009 reports those that allow too much.",
    ),
    "MC008": Explanation(
        finds="A regex that matches a part of an origin, such as the host alone.",
        why=(
            "A regex has to match the whole origin, scheme included. One for a part never matches,"
            " and the policy refuses the pages that it is meant for."
        ),
        fix="Write the whole origin, with its scheme.",
        not_reported="a regex for which no matching string is found.",
    ),
    "MC009": Explanation(
        finds="A regex that matches somebody else's origin. The finding names this origin.",
        why=(
            "Anyone can serve a page from that origin and call your services. The usual causes are"
            r" an open end (`https://ui\.example.*` allows `https://ui.example.stranger.invalid`),"
            r" an open beginning (`https://.*example\.com`), any host on one port"
            " (`https://.+:8443`) and, with credentials, all names below a public suffix"
            r" (`https://[a-z0-9-]+\.github\.io`)."
        ),
        fix=r"Anchor the host name: `https://example\.com` or `https://(.+\.)?example\.com`.",
        not_reported=(
            "a regex for any origin, see MC004; without credentials, a regex that cannot be"
            " checked."
        ),
    ),
    "MC010": Explanation(
        finds="A `prefix` of origins.",
        why="`prefix: https://app` also allows `https://app.stranger.invalid`.",
        fix="Write `exact`, or a regex.",
        not_reported=(
            "a prefix that ends in a port's colon, such as `http://localhost:`, because only digits"
            " can follow, and a prefix that no origin begins with, see MC005."
        ),
    ),
    "MC022": Explanation(
        finds="The origin `null` in a policy.",
        why="Every sandboxed frame and every `file:` page sends `null`, on any site.",
        fix="Remove it, and serve the page from a URL.",
        not_reported="policies that allow any origin anyway.",
    ),
    "MC023": Explanation(
        finds="An `http` origin in a policy with credentials.",
        why=(
            "Anyone on the network can forge a page of that origin, and its calls carry the user's"
            " cookies."
        ),
        fix="Serve the page over https.",
        not_reported="`localhost` and other loopback hosts.",
    ),
    "MC025": Explanation(
        finds="A `corsPolicy` without origins.",
        why="It allows no page at all.",
        fix="List the origins under `allowOrigins`.",
        not_reported="a SecurityPolicy with a `mergeType`, which may get its origins from another.",
    ),
    "MC028": Explanation(
        finds="An `allowOrigin` next to `allowOrigins`.",
        why=(
            "Istio reads the older `allowOrigin` only if `allowOrigins` is not set. Its origins"
            " look allowed and are not."
        ),
        fix="Move its origins into `allowOrigins`, each as `exact: ...`, and remove it.",
        not_reported="an `allowOrigin` alone, which works, and one whose origins are all allowed.",
    ),
    "MC029": Explanation(
        finds="A `corsPolicy` whose only origin is the host that it is for.",
        why=(
            "An origin is where a page comes from, not what it calls. A page may always call its"
            " own host, so such a policy allows nothing that was not allowed, and refuses all other"
            " pages."
        ),
        fix=(
            "List the origins of the pages that call this host. If there are none, remove the"
            " `corsPolicy`."
        ),
        not_reported=(
            "documents with several hosts, origins with a port, and `http` beside `https`, because"
            " these are other origins."
        ),
    ),
}
