"""What `start -f` takes, and what it says of everything else."""

import json
from typing import Any

import pytest

from extproc.cli.experiment_file import NotStartableError, read_experiments
from extproc.core.resources import Candidate, Experiment
from tests.wire.given import a_manifest, a_model, an_experiment

SPLIT = (Candidate("iris", 70), Candidate("iris2", 30))
AB = Experiment("iris-ab", SPLIT, "iris")


def read(*values: Any, origin: str = "ab.json") -> tuple[Experiment, ...]:
    return read_experiments("\n---\n".join(map(json.dumps, values)).encode(), origin)


def refused(*values: Any, origin: str = "ab.json") -> list[str]:
    with pytest.raises(NotStartableError) as caught:
        read(*values, origin=origin)
    return str(caught.value).splitlines()


def test_an_experiment_with_and_without_its_type() -> None:
    assert read(an_experiment()) == (AB,)
    assert read({key: value for key, value in an_experiment().items() if key != "@type"}) == (AB,)


def test_a_seldon_manifest() -> None:
    found = read(a_manifest())
    assert [(one.name, one.default) for one in found] == [("experiment-sample", "iris")]


def test_a_discovery_response_of_several_and_a_list() -> None:
    several = [an_experiment(), an_experiment(name="other", default=None)]
    other = Experiment("other", SPLIT)
    assert read({"version_info": "1", "resources": several}) == (AB, other)
    assert read(several) == (AB, other)


def test_yaml_on_standard_input_with_and_without_its_type() -> None:
    text = "name: iris-ab\ndefault: iris\ncandidates:\n- {name: iris, weight: 70}\n- {name: iris2, weight: 30}\n"
    typed = "'@type': type.googleapis.com/extproc.v1.Experiment\n" + text
    assert read_experiments(text.encode(), "standard input") == (AB,)
    assert read_experiments(typed.encode(), "standard input") == (AB,)
    several = f"{typed}---\n{text.replace('iris-ab', 'other')}"
    assert [one.name for one in read_experiments(several.encode(), "standard input")] == ["iris-ab", "other"]


def test_models_belong_elsewhere_and_whatever_they_lack_does_not_matter() -> None:
    first, problem, following = refused({"resources": [a_model(endpoints=[]), an_experiment()]})
    assert first == "ab.json: 1 problem, nothing was started"
    assert problem.startswith("  Model iris: put models into the --resources file of `extproc up`")
    assert following == "Correct it and start it again."


def test_every_problem_is_told_with_its_place() -> None:
    candidates = [{"name": "iris", "weight": -1}]
    lines = refused(
        {"resources": [an_experiment(candidates=candidates, default=None), {"@type": "x"}, an_experiment()]}
    )
    assert lines[0] == "ab.json: 3 problems, nothing was started"
    assert lines[1].startswith("  Experiment iris-ab: candidates[0].weight: must be a whole number")
    assert lines[2].startswith("  resources[1]: @type: 'x' is not read")
    assert lines[3] == "  Experiment iris-ab: name: stands in this file twice (resources[0] and resources[2]): keep one"


def test_a_problem_without_a_type_has_the_files_own_path() -> None:
    lines = refused({"name": "iris-ab", "candidates": [{"name": "iris", "wieght": 1}]})
    assert lines[1] == "  Experiment iris-ab: candidates[0].wieght: is no field of Candidate: did you mean 'weight'?"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"{}", "holds no experiment"),
        (b"---\n", "is empty"),
        (b'{"resources": []}', "holds no experiment"),
        (b"{", "line 1, column 2"),
        (b"\xff\xfe", "is UTF-16"),
        (b'{"name": "iris-ab"}', "candidates: is empty"),
        (b'[{"name": "iris-ab"}]', 'has no "@type"'),
        (b'{"name": 5, "candidates": 7}', "candidates: must be a list"),
        (b"[1]", "must be an object, not 1"),
        (b'{"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Model", "metadata": {"name": "\\u001b"}}', "is stored"),
    ],
)
def test_what_holds_no_experiment_says_so(data: bytes, said: str) -> None:
    with pytest.raises(NotStartableError) as caught:
        read_experiments(data, "standard input")
    assert said in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()
