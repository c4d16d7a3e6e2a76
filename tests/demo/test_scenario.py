"""Reading and editing the demo's resource file, and that it says what the demo's training serves."""

import json
from pathlib import Path

import pytest

from extproc.demo import scenario
from extproc.demo.scenario import Scenario, Served

ROOT = Path(__file__).parents[2]


def test_the_package_holds_the_sample_that_users_read() -> None:
    assert scenario.FILE.read_bytes() == (ROOT / "envoy/examples/iris.json").read_bytes()


def test_it_reads_what_the_file_says() -> None:
    said = Scenario.read(scenario.FILE.read_text())
    assert (said.experiment, said.default) == ("iris-ab", "iris")
    assert dict(said.weights) == {"iris": 70, "iris2": 30}
    assert (said.mirror, said.percent) == ("iris3", 20)
    assert said.models["iris2"] == Served("127.0.0.1:8082", "iris-v2", ":iris2_2:")
    assert said.models["iris3"] == Served("127.0.0.1:8083", "iris3", ":iris3_1:")


def test_an_edit_of_the_weights_changes_nothing_else() -> None:
    text = scenario.FILE.read_text()
    edited = scenario.with_weights(text, {"iris": 30, "iris2": 70})
    assert dict(Scenario.read(edited).weights) == {"iris": 30, "iris2": 70}
    assert scenario.with_weights(edited, {"iris": 70, "iris2": 30}) == text


def test_endpoints_may_trade_places() -> None:
    text = scenario.FILE.read_text()
    moved = scenario.with_endpoints(
        text, {"127.0.0.1:8081": "127.0.0.1:8082", "127.0.0.1:8082": "127.0.0.1:9", "127.0.0.1:8083": "127.0.0.1:8083"}
    )
    endpoints = [model.endpoint for model in Scenario.read(moved).models.values()]
    assert endpoints == ["127.0.0.1:8082", "127.0.0.1:9", "127.0.0.1:8083"]


@pytest.mark.parametrize("layout", [None, 2])
def test_a_file_laid_out_anew_is_not_edited_by_guessing(layout: int | None) -> None:
    # A user may have formatted it: what can't be found is an error, not an edit that does nothing.
    text = json.dumps(json.loads(scenario.FILE.read_text()), indent=layout, separators=(",", ":"))
    with pytest.raises(ValueError, match="stands 0 times"):
        scenario.with_weights(text, {"iris": 1})


def test_a_write_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "iris.json"
    file.write_text("old")
    before = file.stat().st_ino
    scenario.write(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_ino != before, "written in place: a reader could see half of it"
    assert list(tmp_path.iterdir()) == [file]
