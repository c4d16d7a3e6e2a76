"""docs/bodies.md: what it shows can be run. What it says of unreadable bodies is for tests/e2e/test_openai.py."""

import re

import pytest

from extproc.core.resources import Experiment, Model
from extproc.wire.manifests import read
from extproc.xds import json_bodies
from tests.test_packaging import ROOT

PAGE = (ROOT / "docs" / "bodies.md").read_text()
SHOWN = {
    "the page": re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0],
    "the example": (ROOT / "envoy" / "examples" / "chat.yaml").read_text(),
}


@pytest.mark.parametrize("where", SHOWN)
def test_what_is_shown_is_an_experiment_between_models_that_are_there(where: str) -> None:
    document = read(SHOWN[where], "chat.yaml")
    assert not document.problems
    assert [offer.problems for offer in document.offers] == [()] * 3
    resources = [offer.resource for offer in document.offers]
    models = {resource.name for resource in resources if isinstance(resource, Model) and resource.speaks_openai}
    (experiment,) = (resource for resource in resources if isinstance(resource, Experiment))
    assert {candidate.name for candidate in experiment.candidates} == models
    assert f'model="{experiment.default}"' in PAGE


def test_the_limit_is_that_of_the_page() -> None:
    assert f"more than {json_bodies.LIMIT // 2**20} MiB" in PAGE
