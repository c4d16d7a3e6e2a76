"""HTTP filters in several versions as a source offers them, and what becomes of them in a State."""

from collections.abc import Mapping

from extproc.control.state import State, offered
from extproc.core.offers import Document, Offer
from extproc.core.resources import Kind, PassThrough

NAMES = ("a", "b", "c", "d")


def filters(versions: Mapping[str, int]) -> list[Document]:
    resources = [PassThrough(Kind.FILTER, n, {"name": n, "version": v}) for n, v in versions.items()]
    return [Document("f", tuple(Offer("f", "", Kind.FILTER, r.name, r) for r in resources))]


def offer(state: State, **versions: int) -> State:
    return offered(state, filters(versions), lambda _: ())


def in_force(state: State) -> dict[str, int]:
    return {name: r.body["version"] for name, r in state.effective.pass_through(Kind.FILTER).items()}


def refused_names(state: State) -> set[str]:
    return {report.name for report in state.reports}
