"""What the answers add up to: one line for each candidate, exact counts, no network and no screen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from extproc.demo.scenario import Scenario
from extproc.demo.traffic import Answer


@dataclass(frozen=True, slots=True)
class Line:
    """One candidate. Shares and accuracy are 0 to 1; accuracy and latencies are None when it answered nothing."""

    name: str
    weight: int
    configured: float
    observed: float
    requests: int
    accuracy: float | None
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Phase:
    """What happened under one set of weights."""

    requests: int
    candidates: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The whole demo.

    `live_after_ms` is from the rename of the edited file until extproc ran on it. `mirrored` is how many of `requests`
    the mirror's own server counted. `mislabelled` counts answers whose `x-seldon-route` names another model than the
    one that answered.
    """

    phases: tuple[Phase, ...]
    live_after_ms: float
    requests: int
    mirror: str
    mirror_percent: float
    mirrored: int
    mislabelled: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def phase(answers: Sequence[Answer], scenario: Scenario) -> Phase:
    """The answers of one phase, by candidate; `scenario` holds the weights of that phase."""
    total = sum(scenario.weights.values())
    by_route: dict[str, list[Answer]] = {}
    for answer in answers:
        by_route.setdefault(answer.route, []).append(answer)
    lines = []
    for name, weight in scenario.weights.items():
        own = by_route.get(scenario.models[name].route, [])
        latencies = sorted(answer.seconds for answer in own)
        lines.append(
            Line(
                name=name,
                weight=weight,
                configured=weight / total,
                observed=len(own) / len(answers) if answers else 0.0,
                requests=len(own),
                accuracy=sum(answer.correct for answer in own) / len(own) if own else None,
                p50_ms=percentile(latencies, 50),
                p99_ms=percentile(latencies, 99),
            )
        )
    return Phase(len(answers), tuple(lines))


def mislabelled(answers: Iterable[Answer], scenario: Scenario) -> int:
    """How many answers say in `x-seldon-route` another model than the one whose server wrote the body."""
    served: Mapping[str, str] = {m.route: m.served_name for m in scenario.models.values()}
    return sum(served.get(answer.route) != answer.model for answer in answers)


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The nearest-rank percentile of ordered seconds, in milliseconds; None of nothing."""
    if not ordered:
        return None
    rank = -(-percent * len(ordered) // 100)  # rounded up
    return round(ordered[max(rank, 1) - 1] * 1000, 2)
