"""The units of an extproc.v1.Experiment: Stickiness and Layer as core's values; a part of `declared`."""

from typing import Final

from extproc.core.units import SLOTS, Layer, OnMissing, Stickiness, UnitSource
from extproc.errors import Problem
from extproc.wire.pb.extproc.v1 import resources_pb2 as pb

_SOURCES: Final = ", ".join(source.value for source in UnitSource)
_STAND_IN: Final = Stickiness(UnitSource.SOURCE_IP)


def stickiness(message: pb.Stickiness, unfit: list[Problem]) -> Stickiness:
    """The Stickiness that `message` declares; adds to `unfit` what none can be made of."""
    source = message.WhichOneof("unit")
    if source is None or (source == "source_ip" and not message.source_ip):
        unfit.append(Problem("stickiness", f"names no unit: give one of {_SOURCES}"))
        return _STAND_IN
    key, ttl = "", None
    path: tuple[str, ...] = ()
    match source:
        case "header":
            key = message.header
        case "query":
            key = message.query
        case "cookie":
            key = message.cookie.name
            ttl = message.cookie.ttl.ToMilliseconds() if message.cookie.HasField("ttl") else None
        case "metadata":
            key, path = message.metadata.namespace, tuple(message.metadata.path)
    on_missing = OnMissing(pb.Stickiness.OnMissing.Name(message.on_missing))
    return Stickiness(UnitSource(source), key, path, ttl, message.seed, on_missing)


def layer(message: pb.Layer) -> Layer:
    """The Layer that `message` declares."""
    return Layer(message.name, message.first_slot, message.last_slot if message.HasField("last_slot") else SLOTS - 1)
