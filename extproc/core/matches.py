"""Whom an experiment is for: Envoy's RouteMatch, as far as it may narrow an experiment. A value; no Envoy types.

It is kept as text, so that it is as immutable as all other values; what is in it is judged by `match_rules`, and by
`xds.matches`, which knows Envoy's types.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# The path specifiers of envoy.config.route.v3.RouteMatch; a RouteMatch has one of them.
PATHS: Final = ("prefix", "path", "safe_regex", "path_separated_prefix")
FRACTION: Final = "runtime_fraction"
DENOMINATORS: Final[Mapping[str | int, int]] = {  # envoy.type.v3.FractionalPercent.DenominatorType
    "HUNDRED": 100,
    "TEN_THOUSAND": 10_000,
    "MILLION": 1_000_000,
    0: 100,
    1: 10_000,
    2: 1_000_000,
}

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Match:
    """A RouteMatch as canonical JSON: the fields of every message in snake_case and in order."""

    text: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Match":
        """The Match of proto3 JSON, in either spelling; a field that is null is absent."""
        return cls(json.dumps(_canonical(body), sort_keys=True, ensure_ascii=False, separators=(",", ":")))

    @property
    def body(self) -> dict[str, Any]:
        """The RouteMatch in proto3 JSON."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def taking(self) -> int:
        """How many of a million requests that match otherwise take part. Right only without problems."""
        percent = self.body.get(FRACTION, {}).get("default_value")
        if percent is None:
            return _MILLION
        parts = DENOMINATORS[percent.get("denominator", 0)]
        return min(_MILLION, int(percent.get("numerator", 0)) * (_MILLION // parts))


def snake(key: str) -> str:
    """A field's name in the spelling of the schema."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {snake(key): _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value
