"""The doctor's report on a call: the verdict, what each engine does, and the findings in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors._doctor.beyond_rules import beyond_the_verdict
from meshcors._doctor.engines import ENGINES, EngineVerdict, engine_verdict, mixed_content
from meshcors._doctor.fault_rules import blocking_faults, leaves_the_server
from meshcors._doctor.findings import FINDING_KINDS
from meshcors._doctor.policy_rules import against_the_policy
from meshcors._doctor.rules import as_finding
from meshcors._doctor.surroundings import around_the_call, is_asked_for, mixed_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from meshcors._decision.simulation import Decider
    from meshcors._doctor.consultation import Consultation
    from meshcors._doctor.engines import EngineName
    from meshcors._doctor.findings import DoctorFinding, FindingCode
    from meshcors._doctor.rules import FoundFault

DoctorVerdict: TypeAlias = Literal["works", "blocked", "unknown"]
_SEVERITIES: Final = ("error", "warning", "note")
_ORDER: Final = {code: number for number, code in enumerate(FINDING_KINDS)}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out about a call.

    "unknown" is a call that nobody answered, so that nothing of CORS can be told.
    """

    verdict: DoctorVerdict
    consultation: Consultation
    engines: Mapping[EngineName, EngineVerdict]
    findings: tuple[DoctorFinding, ...]


def diagnose(consultation: Consultation, decider: Decider | None = None) -> Diagnosis:
    """Return the report on a call; `decider` is that of the policy that should have answered."""
    faults = list(_faults(consultation, decider))
    found = [as_finding(consultation, each) for each in faults]
    found.sort(key=lambda each: (_SEVERITIES.index(each.severity), _ORDER[each.code]))
    fatal: set[FindingCode] = {each.code for each in found if each.severity == "error"}
    engines: dict[EngineName, EngineVerdict] = {
        engine: _verdict_of(consultation, engine, fatal) for engine in ENGINES
    }
    is_lost = _is_lost(consultation) or not fatal.isdisjoint(UNFOLLOWED)
    if is_lost and "mixed_content" not in fatal:
        verdict: DoctorVerdict = "unknown"
    else:
        verdict = "works" if all(each.works for each in engines.values()) else "blocked"
    return Diagnosis(verdict, consultation, engines, tuple(found))


def _faults(consultation: Consultation, decider: Decider | None) -> Iterator[FoundFault]:
    yield from around_the_call(consultation)
    yield from blocking_faults(consultation)
    yield from beyond_the_verdict(consultation)
    if decider is not None:
        yield from against_the_policy(consultation, decider)


def _is_lost(consultation: Consultation) -> bool:
    """Tell whether the call turns on an answer that did not come, or not in time."""
    deciding, verdict = consultation.deciding
    if verdict.allowed or deciding.response is not None:
        return False
    nothing = all(each.response is None for each in consultation.tried)
    return nothing or (deciding.exchange is not None and deciding.exchange.kind == "timeout")


# Findings after which nobody asks any further.
UNFOLLOWED: Final[frozenset[FindingCode]] = frozenset({"redirects_go_on", "redirected_elsewhere"})
# The page gets an answer, or a part of it, and the call has failed all the same.
_PAST_CORS: Final[frozenset[FindingCode]] = frozenset(
    {"guard_refuses_origin", "guard_refuses_host", "stream_cut_short", *UNFOLLOWED}
)


def _verdict_of(
    consultation: Consultation, engine: EngineName, fatal: Set[FindingCode]
) -> EngineVerdict:
    mixed = mixed_request(consultation)
    if mixed and not (engine == "chromium" and is_asked_for(mixed.request)):
        return mixed_content(mixed.request, engine, consultation.quote)
    if leaves_the_server(consultation):
        return EngineVerdict(False, "")
    verdict = engine_verdict(consultation, engine)
    if verdict.works and fatal & _PAST_CORS:
        return EngineVerdict(False, "")
    return verdict
