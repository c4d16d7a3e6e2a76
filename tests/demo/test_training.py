"""The script that trains the demo's models, run as the demo and the container run it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import pytest

from extproc.demo.traffic import Row
from tests.test_packaging import ROOT

MODELS = ("iris", "iris2", "iris3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it writes, with extproc out of its reach as in the container."""
    folder = tmp_path_factory.mktemp("models")
    script = ROOT / "extproc/demo/training.py"
    alone = f"""
import runpy, sys
sys.modules["extproc"] = None
sys.argv = ["training.py", {str(folder)!r}]
runpy.run_path({str(script)!r}, run_name="__main__")
"""
    subprocess.run([sys.executable, "-c", alone], check=True, timeout=100)
    return folder


def rows(trained: Path) -> list[Row]:
    return [Row(tuple(each["row"]), each["species"]) for each in json.loads((trained / "rows.json").read_text())]


def accuracy(trained: Path, model: str) -> float:
    asked = rows(trained)
    answered: Any = joblib.load(trained / model / "model.joblib").predict([row.values for row in asked])
    return sum(int(said) == row.species for said, row in zip(answered, asked, strict=True)) / len(asked)


def test_each_model_is_a_folder_that_mlserver_serves(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {*MODELS, "rows.json"}
    for model in MODELS:
        settings = json.loads((trained / model / "model-settings.json").read_text())
        assert settings["implementation"] == "mlserver_sklearn.SKLearnModel"
        assert (trained / model / settings["parameters"]["uri"]).is_file()


@pytest.mark.parametrize("sample", ["iris.json", "compose.json"])
def test_the_samples_know_the_models_by_the_names_they_are_served_under(trained: Path, sample: str) -> None:
    resources = json.loads((ROOT / "envoy/examples" / sample).read_text())["resources"]
    declared = {r["name"]: r.get("served_name", r["name"]) for r in resources if r["@type"].endswith(".Model")}
    served = {name: json.loads((trained / name / "model-settings.json").read_text())["name"] for name in declared}
    assert declared == served


def test_the_rows_are_of_every_species_and_four_wide(trained: Path) -> None:
    asked = rows(trained)
    assert len(asked) == 90
    assert {len(row.values) for row in asked} == {4}
    assert {row.species for row in asked} == {0, 1, 2}


def test_the_candidates_differ_and_all_are_good(trained: Path) -> None:
    reached = [accuracy(trained, model) for model in MODELS]
    assert 0.85 < reached[0] < reached[1] - 0.03, "the second candidate is visibly better than the first"
    assert min(reached) > 0.85
