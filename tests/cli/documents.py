"""REST documents for tests, and a strategy that breaks them in every place."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.wire.given import an_experiment

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=4,
)


def a_document(**changes: Any) -> dict[str, Any]:
    """An experiment as it reads back; `changes` replace fields."""
    return {
        "name": "iris-ab",
        "state": "ACTIVE",
        "reason": "all candidates ready",
        "source": "api",
        "revision": 3,
        "conditions": {"accepted": True, "candidatesReady": True, "mirrorReady": False},
        "candidates": [
            {"name": "iris", "weight": 70, "share": 0.7, "ready": True, "route": ":iris_1:", "requests": 1234},
            {"name": "iris2", "weight": 30, "share": 0.3, "ready": False, "route": ":iris2_2:", "requests": 567},
        ],
        "mirror": {"name": "iris3", "percent": 12.5, "ready": False, "requests": 120},
        "spec": an_experiment(mirror={"name": "iris3", "percent": 12.5}, timeout="1.5s"),
        "events": [{"at": "2025-03-01T12:00:00.000Z", "event": "created", "detail": "iris 70, iris2 30"}],
        **changes,
    }


def a_list(*documents: dict[str, Any]) -> dict[str, Any]:
    """A list of experiments, with one resource that was not taken."""
    problem = {"path": "candidates[0].weight", "message": "must be a whole number"}
    refused = {"source": "ab.json", "kind": "Experiment", "name": "other", "kept": True, "problems": [problem]}
    return {"experiments": list(documents) or [a_document()], "problems": [refused]}


def a_history() -> dict[str, Any]:
    """Three revisions."""
    about = {"source": "api", "caller": "ada", "why": "", "at": "2025-03-01T12:00:00.000Z"}
    return {
        "name": "iris-ab",
        "revisions": [
            {**about, "revision": 1, "action": "started", "spec": an_experiment()},
            {**about, "revision": 2, "action": "updated", "why": "it is better", "spec": an_experiment(timeout="1.5s")},
            {**about, "revision": 3, "action": "stopped", "caller": "", "spec": an_experiment(timeout="1.5s")},
        ],
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def broken(document: Any) -> st.SearchStrategy[Any]:
    """`document` with one value, at any place, replaced by anything."""

    def replaced(path: tuple[Any, ...], value: Any) -> Any:
        if not path:
            return value
        whole = copy.deepcopy(document)
        inside = whole
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value
        return whole

    return st.builds(replaced, st.sampled_from(list(places(document))), ANYTHING)
