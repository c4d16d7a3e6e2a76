"""Traces that `extproc infer` begins itself, one for each request, and which of them are worth a look.

The ids are random, as W3C Trace Context wants them, and the sampled flag is set: Envoy's sampler follows its parent, so
such a request is traced whatever the ratio is.
"""

import secrets
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from extproc.inference.call import Answer

TRACEPARENT: Final = "traceparent"


def begin() -> tuple[str, str]:
    """A new trace: its id, and the traceparent that begins it.

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    trace = secrets.token_hex(16)
    return trace, f"00-{trace}-{secrets.token_hex(8)}-01"


class Traced(NamedTuple):
    """One request that somebody answered; `code`, `route` and `seconds` are the Answer's."""

    trace: str
    route: str
    code: str
    seconds: float


@dataclass(slots=True)
class Traces:
    """Notes every answer's trace. `every` holds them in the order of their answers, or stays empty if `keep_every` is
    false; `slowest` is by route token, `failed` is the first of each code.
    """

    keep_every: bool
    every: list[Traced] = field(default_factory=list)
    slowest: dict[str, Traced] = field(default_factory=dict)
    failed: dict[str, Traced] = field(default_factory=dict)

    def note(self, answer: Answer) -> None:
        if not (answer.trace and answer.reached):
            return
        traced = Traced(answer.trace, answer.route, answer.code, answer.seconds)
        if self.keep_every:
            self.every.append(traced)
        if not answer.ok:
            self.failed.setdefault(answer.code, traced)
        elif answer.route not in self.slowest or self.slowest[answer.route].seconds < answer.seconds:
            self.slowest[answer.route] = traced
