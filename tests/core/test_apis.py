"""Models of two APIs in one experiment: who counts is who speaks as the default does."""

import pytest

from extproc import names
from extproc.core.apis import misfits
from extproc.core.compilation import compile_table
from extproc.core.resources import Api, Candidate, Endpoint, Experiment, Mirror, Model
from extproc.core.table import Table

HERE = (Endpoint("127.0.0.1", 8081),)
MODELS = {
    name: Model(name, endpoints=HERE, api=api)
    for name, api in {"llama": Api.OPENAI, "qwen": Api.OPENAI, "iris": Api.V2, "iris2": Api.V2}.items()
}


@pytest.mark.parametrize(
    ("candidates", "default", "mirror", "unfit"),
    [
        (["llama", "qwen"], "llama", "", set()),
        (["iris", "iris2"], "", "iris3", set()),
        (["iris", "llama", "qwen"], "llama", "", {"iris"}),
        (["llama", "qwen", "iris"], "iris", "", {"llama", "qwen"}),
        (["nobody", "iris", "llama"], "", "", {"llama"}),
        (["nobody", "llama"], "nobody", "", set()),
        (["llama", "qwen"], "llama", "iris", {"iris"}),
    ],
)
def test_who_speaks_another_api_than_the_default(
    candidates: list[str], default: str, mirror: str, unfit: set[str]
) -> None:
    named = tuple(Candidate(name, 1) for name in candidates)
    experiment = Experiment("e", named, default=default, mirror=Mirror(mirror, 1) if mirror else None)
    assert misfits(experiment, MODELS) == unfit


def table(experiment: Experiment) -> Table:
    accepted = {names.decided_route("e", c.name, p) for c in experiment.candidates for p in names.PROTOCOLS}
    return compile_table([experiment], MODELS, lambda name, protocol: protocol == "http" and name in MODELS, accepted)


def test_such_a_candidate_is_neither_drawn_nor_reached_by_its_token() -> None:
    entry = table(Experiment("e", (Candidate("llama", 1), Candidate("iris", 99)), default="llama")).entries["e", "http"]
    assert {decision.candidate for decision in entry.decisions()} == {"llama"}
    assert set(entry.sticky) == {"llama_1"}
