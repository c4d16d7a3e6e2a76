"""Traces as trees of text, so that one comparison holds a whole trace, and what the tests of traces have in common."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tests.e2e.stage import Stage, experiment
from tests.harness.jaeger import RunningJaeger
from tests.harness.otlp import Collector, Span
from tests.harness.waiting import eventually

ENVOY, EXTPROC = "extproc-envoy", "extproc"
PLAIN: Final = experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris")
MIRRORED: Final = experiment("copied", {"iris": 1}, mirror={"name": "iris3", "percent": 100})
SHARES: Final = {"iris-ab": {"iris": 0.7, "iris2": 0.3}, "copied": {"iris": 1.0}}

# Spans leave at once: by default Envoy keeps them for up to 5 s, and so does the SDK.
RUNTIME: Final[Mapping[str, Any]] = {"tracing.opentelemetry.min_flush_spans": 1}
SOON: Final = {"OTEL_BSP_SCHEDULE_DELAY": "50"}

ASKED = "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"


def wait_recorded(stage: Stage, *names: str) -> None:
    """These experiments run, and extproc knows them by their revision."""
    for name in names:
        stage.wait_state(name)
        eventually(
            lambda name=name: stage.status(name)["revision"],  # type: ignore[misc]
            within=10,
            saying=f"{name} has a revision",
            until=lambda revision: revision == 1,
        )


def traceparent(*, sampled: bool = True) -> tuple[str, str]:
    """A trace of the client's own: its id, and the header."""
    trace = secrets.token_hex(16)
    return trace, f"00-{trace}-{secrets.token_hex(8)}-0{int(sampled)}"


def tree(spans: Iterable[Span]) -> list[str]:
    """A line for each span, indented below its parent, in order of name; with what it says of the experiment."""
    spans = sorted(spans, key=lambda span: (span.name, span.service))
    known = {span.id for span in spans}

    def below(parent: str, depth: int) -> Iterator[str]:
        for span in spans:
            if span.parent == parent or (depth == 0 and span.parent not in known):
                yield "  " * depth + line(span)
                yield from below(span.id, depth + 1)

    return list(below("", 0))


def line(span: Span) -> str:
    said = {key.partition(".")[2]: span.tags[key] for key in sorted(span.tags) if key.startswith("experiment.")}
    assert 0 <= said.pop("draw", 0) < 1
    if span.service == EXTPROC:
        assert said.pop("revision") == 1, "the file's first version is revision 1"
        assert said.pop("share") == SHARES[said["name"]][said["candidate"]]
    words = [f"{span.service}: {span.name} {span.kind}", *(f"{key}={value}" for key, value in said.items())]
    return " ".join(words)


def shown(collector: Collector | RunningJaeger, trace: str, wanted: list[str]) -> tuple[Span, ...]:
    """Wait until the trace has exactly this tree."""
    eventually(
        lambda: tree(collector.trace(trace)),
        within=15,
        saying="the tree of the trace is\n" + "\n".join(wanted),
        until=lambda seen: seen == wanted,
    )
    return collector.trace(trace)


def decided(token: str, candidate: str, reason: str, asked_for: str = "iris-ab") -> list[str]:
    """The tree of a request that extproc decided."""
    tags = f"candidate={candidate} name={asked_for} reason={reason} route={token}"
    return [
        f"{ENVOY}: ingress SERVER {tags}",
        f"  {ENVOY}: {ASKED} CLIENT",
        f"    {EXTPROC}: extproc.route SERVER candidate={candidate} name={asked_for} outcome={reason}",
        f"  {ENVOY}: router {candidate} egress CLIENT {tags}",
    ]


def copied() -> list[str]:
    """The tree of a request to the experiment whose every request is copied."""
    tree = decided(":iris_1:", "iris", "weighted", "copied")
    copy = "mirror=iris3 name=copied route=:iris3_1:"
    tree[3:3] = [
        f"  {ENVOY}: mirror CLIENT",
        f"    {ENVOY}: ingress SERVER {copy}",
        f"      {ENVOY}: router iris3 egress CLIENT {copy}",
    ]
    return tree


def candidate_of(token: str) -> str:
    matched = re.fullmatch(r":([a-z0-9]+)_\d+:", token)
    assert matched, token
    return matched[1]
