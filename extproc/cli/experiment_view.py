"""The REST documents of experiments as values that can be shown: checked, and fit for a terminal.

A server of another version, or something that is no extproc at all, ends in MisfitError, never in a half-drawn table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from extproc.cli.document_reader import Reader
from extproc.cli.outcome_view import OutcomesView, SplitView
from extproc.errors import Problem


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One candidate; `share` is 0 to 1; `ready`, `requests` and `outcomes` are None where they are not known.

    `cluster` is the user's own that it is, empty for a model.
    """

    name: str
    weight: int
    share: float
    ready: bool | None
    route: str
    requests: int | None
    outcomes: OutcomesView | None = None
    cluster: str = ""

    @classmethod
    def of(cls, document: Reader) -> Self:
        return cls(
            document.text("name"),
            document.whole("weight"),
            document.number("share"),
            document.flag("ready", None),
            document.text("route", ""),
            document.whole("requests", None),
            OutcomesView.of(document.inside("outcomes", None)),
            document.text("cluster", ""),
        )


@dataclass(frozen=True, slots=True)
class MirrorView:
    """A mirror; `percent` is 0 to 100."""

    name: str
    percent: float
    ready: bool | None
    requests: int | None
    outcomes: OutcomesView | None = None

    @classmethod
    def of(cls, document: Reader) -> Self:
        return cls(
            document.text("name"),
            document.number("percent"),
            document.flag("ready", None),
            document.whole("requests", None),
            OutcomesView.of(document.inside("outcomes", None)),
        )


@dataclass(frozen=True, slots=True)
class UntouchedView:
    """The requests that are left to the default, `model`, and why; `percent` is 0 to 100, None where nobody knows."""

    why: str
    model: str
    percent: float | None
    requests: int | None
    outcomes: OutcomesView | None = None

    @classmethod
    def of(cls, document: Reader) -> Self:
        return cls(
            document.text("name"),
            document.text("model", ""),
            document.number("percent", None),
            document.whole("requests", None),
            OutcomesView.of(document.inside("outcomes", None)),
        )


@dataclass(frozen=True, slots=True)
class EventView:
    """One thing that happened; `at` is RFC 3339."""

    at: str
    event: str
    detail: str

    @classmethod
    def of(cls, document: Reader) -> Self:
        return cls(document.text("at"), document.text("event"), document.text("detail", ""))


@dataclass(frozen=True, slots=True)
class SpecView:
    """A specification as far as it is compared and summarised; `other` holds every further field as text."""

    default: str
    weights: Mapping[str, int]
    mirrors: tuple[tuple[str, float], ...]
    other: Mapping[str, str]

    @classmethod
    def of(cls, document: Reader) -> Self:
        return cls(
            document.text("default", ""),
            {_called(c): c.whole("weight", 0) for c in document.each("candidates")},
            tuple((_called(mirror), mirror.number("percent", 0.0)) for mirror in _mirrors(document)),
            {
                **_clusters(*document.each("candidates"), *_mirrors(document)),
                **document.rest("@type", "name", "default", "candidates", "mirror", "mirrors"),
            },
        )


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """One experiment. `revision` is None until it has one; `spec` is None when it could never be read."""

    name: str
    state: str
    reason: str
    source: str
    revision: int | None
    conditions: Mapping[str, bool]
    candidates: tuple[CandidateView, ...]
    mirrors: tuple[MirrorView, ...]
    problems: tuple[Problem, ...]
    events: tuple[EventView, ...]
    spec: SpecView | None
    split: SplitView | None = None
    untouched: tuple[UntouchedView, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any] | Reader) -> Self:
        """Raises MisfitError."""
        reader = document if isinstance(document, Reader) else Reader(document)
        conditions = reader.inside("conditions", None)
        spec = reader.inside("spec", None)
        return cls(
            reader.text("name"),
            reader.text("state"),
            reader.text("reason", ""),
            reader.text("source", ""),
            reader.whole("revision", None),
            conditions.flags() if conditions else {},
            tuple(CandidateView.of(item) for item in reader.each("candidates")),
            tuple(map(MirrorView.of, _mirrors(reader))),
            tuple(Problem(item.text("path", ""), item.text("message")) for item in reader.each("problems")),
            tuple(EventView.of(item) for item in reader.each("events")),
            SpecView.of(spec) if spec else None,
            SplitView.of(reader.inside("split", None)),
            tuple(UntouchedView.of(item) for item in reader.each("untouched")),
        )


@dataclass(frozen=True, slots=True)
class RefusedView:
    """A resource that a source offers and that is not taken; `kept` says that an earlier version of it is in force."""

    source: str
    kind: str
    name: str
    kept: bool
    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, document: Reader) -> Self:
        return cls(
            document.text("source", ""),
            document.text("kind", ""),
            document.text("name", ""),
            document.flag("kept", False),
            tuple(Problem(item.text("path", ""), item.text("message")) for item in document.each("problems")),
        )


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One revision; `who` is the caller's name, or the source's where it has none, `at` is RFC 3339."""

    number: int
    action: str
    who: str
    why: str
    at: str
    spec: SpecView

    @classmethod
    def of(cls, document: Reader) -> Self:
        source = document.text("source", "")
        return cls(
            document.whole("revision"),
            document.text("action"),
            document.text("caller", "") or source,
            document.text("why", ""),
            document.text("at"),
            SpecView.of(document.inside("spec")),
        )


def _called(named: Reader) -> str:
    """What a candidate or a mirror is called; a cluster's own name is not said twice."""
    return named.text("name", "") or named.text("cluster")


def _clusters(*named: Reader) -> dict[str, str]:
    """The clusters that are called otherwise in the experiment, by what is said of them."""
    clusters = {_called(each): each.text("cluster", "") for each in named}
    return {f"{name} cluster": cluster for name, cluster in clusters.items() if cluster not in ("", name)}


def _mirrors(document: Reader) -> tuple[Reader, ...]:
    """All of `mirrors`, or the one `mirror` that is given where there are no others."""
    several = tuple(document.each("mirrors"))
    first = document.inside("mirror", None)
    return several or ((first,) if first else ())


def listed(document: Mapping[str, Any]) -> tuple[tuple[ExperimentView, ...], tuple[RefusedView, ...]]:
    """What a list of experiments holds. Raises MisfitError."""
    reader = Reader(document)
    return (
        tuple(ExperimentView.of(item) for item in reader.each("experiments", required=True)),
        tuple(RefusedView.of(item) for item in reader.each("problems")),
    )


def revisions(document: Mapping[str, Any]) -> tuple[RevisionView, ...]:
    """What a history holds, oldest first. Raises MisfitError."""
    return tuple(RevisionView.of(item) for item in Reader(document).each("revisions", required=True))
