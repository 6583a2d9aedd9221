"""The explanations of the lint rules about documents, routing and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meshcors._policy.max_age import MAX_AGE_CAPS
from meshcors.mesh._lint.explained import Explanation

# Continues "Not reported: ...".
_UNUSED_POLICIES: Final = "a `corsPolicy` whose preflights another rule takes."

ROUTING_EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    "MC000": Explanation(
        finds=(
            "A document that Kubernetes, Istio's admission webhook or Envoy would refuse: unknown"
            " fields, wrong types, values out of range. Also a file that cannot be read."
        ),
        why=(
            "It would not be applied. No other lint rule looks at such a document; the other"
            " documents of the file are checked as usual."
        ),
        fix="Follow the hint. For an unknown field it names the nearest known one.",
        not_reported=(
            "files in a directory that hold no Kubernetes objects, such as the values of a Helm"
            " chart. The source of documents (a template, a patch, Jsonnet), a delegate without the"
            " VirtualService that names it, a rule without its delegate, and a second document of"
            " the same name are notes: they say that something is not checked, or checked together"
            " with what it never meets."
        ),
    ),
    "MC001": Explanation(
        finds=(
            "A `corsPolicy` on a rule that preflights do not match, where they match no other rule"
            " either, or meet a redirect or a directResponse. To find out, a preflight is sent"
            " through the model of the gateway."
        ),
        why=(
            "A browser's preflight names the headers of the call but does not carry them. So a rule"
            " that asks for `model-api-key: xyz` never matches one, and neither does a rule that"
            " asks for a method. Envoy answers 404 without CORS headers, or the redirect is refused"
            ' ("Redirect is not allowed for a preflight request"): the browser blocks the call,'
            " while curl works. See istio/istio#47236 and emissary-ingress/emissary#574."
        ),
        fix="Put a rule that takes preflights before it, as `meshcors fix` does.",
        not_reported=(
            "rules for GET or HEAD without headers, because such calls have no preflight, and rules"
            " for which no example call is found, because of an unusual regex."
        ),
    ),
    "MC002": Explanation(
        finds=(
            "A `corsPolicy` whose preflights another rule sends to another service, or whose"
            " preflights meet another rule's `corsPolicy`, which refuses calls that this one"
            " allows. To find out, sample calls go through the models of the gateway and of the"
            " browser."
        ),
        why=(
            "As for MC001, preflights do not match the rule. Here a later rule takes them, and its"
            " service or its policy answers for a policy that it does not know."
        ),
        fix=(
            "Put a rule that takes preflights before it, as `meshcors fix` does. If the other"
            " service or policy is meant to answer, remove the `corsPolicy`."
        ),
        not_reported=(
            "rules whose preflights meet a `corsPolicy` that allows the same; a missing routing"
            " header alone, see MC013; rules that no call reaches, see MC027."
        ),
    ),
    "MC003": Explanation(
        finds="A `corsPolicy` next to `redirect` or `directResponse`.",
        why=(
            "Envoy's cors filter does nothing on a route without a service"
            " (envoyproxy/envoy#8262). The answer has no CORS headers, and pages cannot read it."
        ),
        fix="Route to a service, or remove the `corsPolicy`.",
        not_reported="",
    ),
    "MC011": Explanation(
        finds="A `corsPolicy` that does not say what happens to preflights of refused origins.",
        why=(
            "By default Envoy forwards them. If the service answers `*`, as many do, the origin is"
            " allowed after all (istio/istio#9783, envoyproxy/envoy#14233)."
        ),
        fix="Set `unmatchedPreflights: IGNORE`, or `FORWARD` if that is intended.",
        not_reported=(
            f"{_UNUSED_POLICIES[:-1]}; a `corsPolicy` that allows any origin, because it refuses"
            " none; HTTPRoutes, for which Istio sets IGNORE; Flagger's Canaries, which lack the"
            " field."
        ),
    ),
    "MC012": Explanation(
        finds=(
            "A curl command in a comment or a script of the file that sends OPTIONS without"
            " `Access-Control-Request-Method`."
        ),
        why=(
            "Such a request is not a preflight: Envoy's cors filter passes it on, and rules for"
            " preflights do not match it (istio/istio#57104). The test shows nothing about"
            " browsers."
        ),
        fix="Send `Origin` and `Access-Control-Request-Method` too.",
        not_reported="commands that do not send OPTIONS.",
    ),
    "MC013": Explanation(
        finds="An `allowHeaders` without the header that picks the service.",
        why=(
            "Every call carries that header, so every preflight asks for it. The browser blocks the"
            " call if the answer does not list it."
        ),
        fix="Add the header to `allowHeaders`.",
        not_reported=(
            "a lone `*` in `allowHeaders`, with which Envoy echoes what is asked for, headers that"
            " the browser sets itself, and rules that no request reaches."
        ),
    ),
    "MC014": Explanation(
        finds=(
            "Names in `allowMethods`, `allowHeaders` and `exposeHeaders` that have no effect. One"
            " finding sums up a document."
        ),
        why=(
            "GET, HEAD and POST need no permission, and OPTIONS is the preflight itself. Pages"
            " cannot set `origin`, `host`, `cookie` and other forbidden headers, and cannot read"
            " `set-cookie`. Such names hide the ones that matter."
        ),
        fix="Remove them.",
        not_reported=_UNUSED_POLICIES,
    ),
    "MC015": Explanation(
        finds="A `maxAge` longer than browsers keep an answer. One finding sums up a document.",
        why=(
            f"Chromium keeps the answer to a preflight for at most {MAX_AGE_CAPS['chromium']}"
            f" seconds, WebKit for {MAX_AGE_CAPS['webkit']}, Firefox for"
            f" {MAX_AGE_CAPS['firefox']}. Only Firefox honors a larger value."
        ),
        fix="Write `2h` or less.",
        not_reported=_UNUSED_POLICIES,
    ),
    "MC016": Explanation(
        finds="A rule for preflights that none reaches, because an earlier rule takes them.",
        why="The first rule that matches wins. The rule has no effect, and calls are blocked.",
        fix="Move the rule to the top of `http`.",
        not_reported="a rule that preflights reach on one of its hosts, ports or gateways.",
    ),
    "MC017": Explanation(
        finds="A rule for preflights that matches every OPTIONS request.",
        why=(
            "Not every OPTIONS request is a preflight: WebDAV uses the method, and clients use it"
            " to ask what a service supports. Those requests no longer reach the service. Only a"
            " preflight has `access-control-request-method`."
        ),
        fix=(
            "Ask for that header:"
            " `match: [{method: {exact: OPTIONS}, headers: {access-control-request-method: {}}}]`."
        ),
        not_reported="rules that match other methods too, such as `GET|OPTIONS`.",
    ),
    "MC018": Explanation(
        finds="CORS headers that `headers.response` sets or adds.",
        why=(
            "They are the same for every origin, and are added to those of the service or the"
            " `corsPolicy`. With `add`, one header has two values, which every browser refuses."
        ),
        fix="Let one place write CORS headers: a `corsPolicy`, or the service.",
        not_reported="removing the service's CORS headers.",
    ),
    "MC019": Explanation(
        finds=(
            "Authorization that stops preflights: an ALLOW policy that no preflight can"
            " satisfy, unless another ALLOW policy for the same workloads or the whole mesh lets"
            " preflights pass; a DENY policy that matches every preflight; an external provider"
            " that is asked about all of them."
        ),
        why=(
            "In Istio's proxies ext_authz, JWT and RBAC run before the cors filter, and their"
            " denial has no CORS headers (istio/istio#16171, istio/istio#36911, istio/istio#40540,"
            " istio/istio#45716). A preflight carries no credentials, so it is denied and the"
            " browser blocks the call."
        ),
        fix=(
            "Allow preflights with a rule such as `to: [{operation: {methods: [OPTIONS]}}]`, or"
            " exempt them with `notMethods: [OPTIONS]`."
        ),
        not_reported=(
            "conditions that depend on the caller, such as its namespace; policies in a dry run"
            " (`istio.io/dry-run`);"
            " RequestAuthentication, which lets preflights pass; policies that apply neither to the"
            " gateway nor to the namespace of a pod that preflights are sent to:"
            " preflights that Envoy answers at the gateway never reach a service's own proxy."
        ),
    ),
    "MC020": Explanation(
        finds="A `corsPolicy` on a rule to an InferencePool.",
        why=(
            "The `corsPolicy` and the pool's endpoint picker are both settings of one Envoy route,"
            " and Istio's translation keeps only one of them. This is known from its source, not"
            " from a test."
        ),
        fix="Answer preflights on a separate rule.",
        not_reported="rules to Services.",
    ),
    "MC021": Explanation(
        finds=(
            "CORS in a VirtualService or HTTPRoute that KServe, Knative, Flagger or Argo Rollouts"
            " writes."
        ),
        why=(
            "KServe, Knative and Flagger overwrite what they made (kserve/kserve#721). The header"
            " routes of a Rollout come before yours, without your `corsPolicy`"
            " (argoproj/argo-rollouts#2895)."
        ),
        fix=(
            "Keep the rule for preflights in a VirtualService of its own, as"
            " `meshcors fix --separate` writes it. With Flagger, write the `corsPolicy` into the"
            " Canary, under `spec.service`."
        ),
        not_reported=(
            "tools that apply files, such as Helm. Controllers are found by owner references,"
            " labels, annotations, and by the Canaries, InferenceServices and Rollouts among the"
            " files."
        ),
    ),
    "MC024": Explanation(
        finds="A `*` that does not mean everything.",
        why=(
            "Envoy echoes what the preflight asks for only for a lone `*`. `GET,*` is sent as it"
            " is, and with credentials browsers take `*` for a name like any other. In"
            " `exposeHeaders` they do so even for a lone `*`."
        ),
        fix="Write `*` alone, or list the names.",
        not_reported="a lone `*` in `allowMethods` and `allowHeaders`.",
    ),
    "MC026": Explanation(
        finds=(
            "Routing by a request header, without a `corsPolicy`, on a host where no rule answers"
            " the preflights. One finding for each document. To find out, a preflight is sent"
            " through the model of the gateway."
        ),
        why=(
            "A page that sets the header first sends a preflight, which names the header but does"
            " not carry it. So no rule matches, Envoy answers 404, and the browser blocks the call,"
            " while curl works. A `corsPolicy` on the same rule does not help, see MC001."
        ),
        fix=(
            "Put a rule that takes preflights before it, as `meshcors fix` does. If no page ever"
            " calls this host, silence the finding."
        ),
        not_reported=(
            "rules of sidecars; headers that pages do not set, such as `cookie`, `x-forwarded-for`"
            " or `x-b3-traceid`; hosts with a catch-all rule, because preflights reach its service,"
            " which may answer them; rules with a `corsPolicy`, see MC001."
        ),
    ),
    "MC027": Explanation(
        finds=(
            "A `corsPolicy` on a rule that no request reaches: an earlier rule takes everything, or"
            " another VirtualService owns the host in sidecars. To find out, a call that meets the"
            " rule's conditions is sent through the model of the gateway."
        ),
        why="The policy looks as if it applied, but the rule before it answers.",
        fix="Move the rule before the one that takes its requests, or remove it.",
        not_reported=(
            "rules for preflights, see MC016, and rules for which no example call is found, because"
            " of an unusual regex, or because they ask for labels of the caller."
        ),
    ),
    "MC030": Explanation(
        finds=(
            "A rule for preflights that takes those of a rule with a `corsPolicy`, which they would"
            " otherwise reach, although it is not known to allow what that policy allows. To find"
            " out, sample calls go through the models of the gateway and of the browser."
        ),
        why=(
            "A rule for preflights is there for rules that preflights do not match, such as those"
            " for a header. In front of any other rule it takes that rule's place: if its own"
            " policy refuses the page, or its service does not know it, calls that"
            " worked before are blocked."
        ),
        fix=(
            "Narrow the rule, by path or by the name of the routing header in"
            " `access-control-request-headers`, or give that policy to it or its service too."
        ),
        not_reported=(
            "rules that preflights would not reach anyway, such as those for a header: their"
            " policies are for the responses, and the preflight pod in front of them is the"
            " recommended setup. What a pod answers is not in the documents. It counts as knowing"
            " the policies of the rules that need it, or, if no rule does, the one policy that all"
            " rules share."
        ),
    ),
    "MC031": Explanation(
        finds=(
            "A rule to a preflight pod that takes calls with the header of another document's rule,"
            " and, on hosts with CORS, a rule that gets no calls because of another document. To"
            " find out, a call that meets the conditions of both rules is sent through the model of"
            " the gateway."
        ),
        why=(
            "A preflight pod also answers calls that no service takes. If that rule has a path, it"
            " comes first: in the Gateway API a longer path outranks headers and methods, and of"
            " VirtualServices the oldest comes first, or the first by name. Calls with the right"
            " key then get the pod's 404."
        ),
        fix=(
            "Leave out the conditions of the pod's last rule. Of two other rules, narrow the one"
            " that takes too much."
        ),
        not_reported=(
            "rules of one document; rules that overlap in a part of their calls, such as `/api` and"
            " `/`; documents of the same name, which are versions of one object."
        ),
    ),
}
