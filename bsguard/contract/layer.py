"""The contract layer: every request is judged against the OpenAPI document before the application runs."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from bsguard.contract.config import ContractConfig, laxer
from bsguard.contract.observed import Observer, route_of
from bsguard.contract.place import Place
from bsguard.contract.rules import CODE_OF, REASON_OF, RULES
from bsguard.contract.violations import VIOLATIONS_COUNT_MAX
from bsguard.core.errors import BodyError
from bsguard.core.events import ContractViolated, EndpointUnknown, EnginesDisagreed, ResponseViolated, printable
from bsguard.core.layer import Layer
from bsguard.core.strict_json import JsonProblem
from bsguard.core.verdict import ALLOW, Finding, Note, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsguard.contract.operations import Operation
    from bsguard.contract.violations import Violation
    from bsguard.core.driver import ResponseHead
    from bsguard.core.request import Request

_ACTS: Final[dict[str, Literal["deny", "log"]]] = {"block": "deny", "log": "log"}
#: Violations that the reason for people has room for.
_IN_REASON_MAX: Final = 3
_NAME_CHARS_MAX: Final = 40


class Contract(Layer[ContractConfig]):
    """Enforces OpenAPI documents: parameters, bodies, media types, credentials, methods, and unknown endpoints.

    Documents are loaded, checked and compiled when the layer is made, or taken from the state directory where that was
    done before. Without documents the layer does nothing.
    """

    name: ClassVar[str] = "contract"
    config_class = ContractConfig
    rules = RULES

    def prepare(self) -> None:
        """Load and compile the documents; raises :class:`~bsguard.core.errors.ConfigError` with all their problems."""
        if self.config.idle:
            self.mode = "off"
        if self.mode == "off":
            return
        from bsguard.contract.assembly import Assembly

        self.assembly = Assembly(self.config, self.settings.state_dir)
        self._referring = frozenset(mount for mount in self.assembly.mounts.all if self.assembly.reference(mount))

        self._observer = Observer(self.clock)

    def inspect_head(self, request: Request) -> Verdict:
        """The operation, its parameters and credentials, and whether a body is expected."""
        place = request.memo[self] = self.assembly.place(request)
        operation = place.operation
        if operation is not None and place.mount is not None:
            request.shared.route = place.mount.prefix + operation.template
        if place.action == "none":
            return ALLOW
        if operation is None or place.mount is None:
            return self._beside(place, request)
        violations, undeclared = self.assembly.judge(place.mount).head(operation, request, place.taken)
        if not violations:
            return ALLOW
        return Verdict(tuple(self._findings(operation, place, violations, undeclared)))

    def inspect_body(self, request: Request) -> Verdict:
        """The body, where the operation describes it."""
        if not (request.body.present or self._referring):
            return ALLOW
        place = request.memo.get(self)
        if not isinstance(place, Place):
            place = self.assembly.place(request)
        operation = place.operation
        if operation is None or place.mount is None or place.action == "none":
            return self._noticed(request)
        violations = self.assembly.judge(place.mount).body(operation, request)
        found = [*self._referred(operation, place, request, violations)] if place.mount in self._referring else []
        if not violations and not found:
            return ALLOW
        return Verdict((*self._findings(operation, place, violations, []), *found))

    def _noticed(self, request: Request) -> Verdict:
        """Read a JSON body that no document describes, where its shape is wanted."""
        media_type = request.media_type
        if self.config.learn and request.body.present and media_type is not None and media_type.json:
            with suppress(BodyError, JsonProblem):
                request.json(self.config.json_depth_max)
        return ALLOW

    def response_bytes_kept(self, request: Request) -> int:
        """Answers are read for a sample of requests."""
        sampled = _sampled(request.id, self.config.response_ratio)
        return self.config.response_bytes_max if sampled else 0

    def observe(self, request: Request, response: ResponseHead) -> None:
        """Tell the shape of a request that was answered with success, and what is wrong with a sampled answer."""
        if response.refused_by:
            return
        if self.config.learn and 200 <= response.status < 300:
            event = self._observer.observed(request, response.status, self.config.json_depth_max)
            if event is not None:
                self.emit(event)
        if _sampled(request.id, self.config.response_ratio):
            self._hold_answer(request, response)

    def _hold_answer(self, request: Request, response: ResponseHead) -> None:
        place = self.assembly.place(request)
        responses = self.assembly.responses(place.mount) if place.mount is not None else None
        if place.operation is None or responses is None or place.action == "none":
            return
        violations = responses.judge(place.operation, response)
        if violations:
            event = ResponseViolated(
                time=self.clock.now(),
                request_id=request.id,
                operation=place.operation.id,
                route=place.operation.template,
                status=response.status,
                violations=tuple(map(str, violations)),
            )
            self.emit(event)

    def _referred(
        self, operation: Operation, place: Place, request: Request, violations: list[Violation]
    ) -> Iterable[Finding]:
        """What the reference engine has to say, where it decides or is to be compared with the plan."""
        reference = self.assembly.reference(place.mount) if place.mount is not None else None
        if reference is None:
            return
        if operation.reference:
            if not violations:
                said = reference.judge(operation, request, place.taken)
                yield from self._findings(operation, place, said, [])
        elif _sampled(request.id, self.config.shadow_ratio):
            said = reference.judge(operation, request, place.taken)
            if bool(said) != bool(violations):
                facts = {
                    "operation": operation.id,
                    "route": operation.template,
                    "plan": tuple(map(str, violations[:VIOLATIONS_COUNT_MAX])),
                    "reference": tuple(map(str, said[:VIOLATIONS_COUNT_MAX])),
                }
                note = Note(EnginesDisagreed, tuple(facts.items()))
                rule = "contract.shadow"
                yield Finding(rule, CODE_OF[rule], f"{REASON_OF[rule]} ({operation.id})", "log", note=note)

    def _beside(self, place: Place, request: Request) -> Verdict:
        """A request that falls on no operation."""
        rule = f"contract.{place.problem}"
        headers: tuple[tuple[str, str], ...] = ()
        note = None
        if place.entry is not None:
            headers = (("Allow", place.entry.allowed(options=self.config.options == "pass")),)
        if place.problem == "endpoint":
            note = Note(EndpointUnknown, (("route", route_of(request.path)),))
        finding = Finding(rule, CODE_OF[rule], REASON_OF[rule], _ACTS[place.action], headers, note=note)
        return Verdict((finding,))

    def _findings(
        self, operation: Operation, place: Place, violations: Iterable[Violation], undeclared: list[str]
    ) -> Iterable[Finding]:
        """One finding for each rule that is broken, so that each has its own mode and exceptions."""
        by_rule: dict[str, list[Violation]] = {}
        for violation in violations:
            by_rule.setdefault(violation.rule, []).append(violation)
        for rule, broken in by_rule.items():
            mine = rule == "contract.parameter.undeclared"
            wanted = laxer(place.action, self.config.unspecified_parameters) if mine else place.action
            if wanted == "none":
                continue
            different = tuple(dict.fromkeys(broken))[:VIOLATIONS_COUNT_MAX]
            told = tuple([str(violation) for violation in different])
            names = [printable(name[:_NAME_CHARS_MAX]) for name in undeclared[:VIOLATIONS_COUNT_MAX]] if mine else []
            facts = (
                ("operation", operation.id),
                ("route", operation.template),
                ("host", place.mount.host if place.mount is not None else ""),
                ("rule", rule),
                ("violations", told),
                ("undeclared", tuple(names)),
            )
            yield Finding(
                rule,
                CODE_OF[rule],
                f"{REASON_OF[rule]}: {'; '.join(told[:_IN_REASON_MAX])} ({operation.id})",
                _ACTS[wanted],
                _challenge(operation) if rule == "contract.security" else (),
                details=tuple([violation.detail for violation in different]),
                note=Note(ContractViolated, facts),
            )


def _sampled(request_id: str, ratio: float) -> bool:
    """Whether a request belongs to a sample of that share; the same request always does or does not."""
    return ratio > 0 and zlib.crc32(request_id.encode()) < ratio * 2**32


def _challenge(operation: Operation) -> tuple[tuple[str, str], ...]:
    """``WWW-Authenticate``, which a 401 must have (RFC 9110 §15.5.2); keys in other places have no scheme."""
    schemes = [one.name for alternative in operation.security for one in alternative if one.place == "authorization"]
    named = [f'{scheme.capitalize()} realm="api"' for scheme in dict.fromkeys(schemes)]
    return (("WWW-Authenticate", ", ".join(named) or 'ApiKey realm="api"'),)
