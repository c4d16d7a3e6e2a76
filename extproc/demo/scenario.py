"""The demo's resource file: what it promises, and edits of its text that keep its layout, as a user's editor would.

Reading and editing are pure; `write` replaces the file in one step, so that no reader ever sees half of it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from extproc.core.resources import Kind

FILE: Final = Path(__file__).with_name("iris.json")  # a link to envoy/examples/iris.json


@dataclass(frozen=True, slots=True)
class Served:
    """One Model of the file: where it is served, under which name, and the route token that stands for it."""

    endpoint: str
    served_name: str
    route: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """The file's one experiment and its models; `weights` are the candidates', in the file's order."""

    experiment: str
    default: str
    weights: Mapping[str, int]
    mirror: str
    percent: float
    models: Mapping[str, Served]

    @classmethod
    def read(cls, text: str) -> Self:
        """What a resource file with one experiment says. It is the demo's own file, so nothing is checked here."""
        resources = json.loads(text)["resources"]
        (experiment,) = (r for r in resources if r["@type"] == Kind.EXPERIMENT.value)
        return cls(
            experiment=experiment["name"],
            default=experiment["default"],
            weights={c["name"]: c["weight"] for c in experiment["candidates"]},
            mirror=experiment["mirror"]["name"],
            percent=experiment["mirror"]["percent"],
            models={r["name"]: _served(r) for r in resources if r["@type"] == Kind.MODEL.value},
        )


def with_endpoints(text: str, endpoints: Mapping[str, str]) -> str:
    """`text` with other endpoints: old `host:port` → new one. Raises ValueError when an old one is not there."""
    return _replaced(text, {f'"{old}"': f'"{new}"' for old, new in endpoints.items()})


def with_weights(text: str, weights: Mapping[str, int]) -> str:
    """`text` with other weights: candidate → weight. Raises ValueError when one is not there."""
    was = Scenario.read(text).weights
    return _replaced(
        text, {_candidate(name, was.get(name, 0)): _candidate(name, weight) for name, weight in weights.items()}
    )


def write(file: Path, text: str) -> None:
    """Replace `file`, by rename."""
    fresh = file.with_name(f".{file.name}.new")  # a hidden name is not read when the folder is a resource path
    fresh.write_text(text)
    fresh.replace(file)


def _served(model: dict[str, Any]) -> Served:
    name = model["name"]
    return Served(model["endpoints"][0], model.get("served_name", name), f":{name}_{model.get('version', 1)}:")


def _candidate(name: str, weight: int) -> str:
    return f'{{"name": "{name}", "weight": {weight}}}'


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    """All `changes` at once, so that what was just put in is not changed again."""
    for old in changes:
        if text.count(old) != 1:
            raise ValueError(f"{old} stands {text.count(old)} times in the resource file, not once")
    return re.sub("|".join(map(re.escape, changes)), lambda found: changes[found[0]], text) if changes else text
