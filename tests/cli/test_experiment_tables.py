"""What people see of experiments: the very lines, 80 columns wide and without a terminal."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from rich.console import Console, RenderableType

from extproc.cli.document_reader import MisfitError
from extproc.cli.experiment_options import STATES
from extproc.cli.experiment_tables import STATE_STYLES, experiment_history, experiment_list, experiment_status, local
from extproc.cli.experiment_view import ExperimentView, listed, revisions
from extproc.control.status import ExperimentState
from tests.cli.documents import a_document, a_history, a_list, broken
from tests.wire.given import an_experiment


@pytest.fixture(autouse=True)
def utc(in_utc: None) -> None:
    """Times are shown on this machine's clock."""


def drawn(shown: RenderableType, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    with console.capture() as capture:
        console.print(shown)
    return [line.rstrip() for line in capture.get().splitlines()]


def status(wide: bool = False, **changes: Any) -> list[str]:
    return drawn(experiment_status(ExperimentView.of(a_document(**changes)), wide=wide))


def test_a_status_shows_state_conditions_shares_and_events() -> None:
    assert status() == [
        "name        iris-ab",
        "state       ACTIVE: all candidates ready",
        "source      api, revision 3",
        "default     iris",
        "timeout     1.5s",
        "conditions  accepted by Envoy, candidates ready, mirror not ready",
        "",
        "CANDIDATE       WEIGHT  SHARE                        READY  ROUTE      REQUESTS",
        "iris            70      ██████████████░░░░░░   70 %  yes    :iris_1:   1234",
        "iris2           30      ██████░░░░░░░░░░░░░░   30 %  no     :iris2_2:  567",
        "iris3 (mirror)  -       ██░░░░░░░░░░░░░░░░░░ 12.5 %  no     -          120",
        "",
        "WHEN                 EVENT    DETAIL",
        "2025-03-01 12:00:00  created  iris 70, iris2 30",
    ]


def test_clusters_are_shown_by_what_the_experiment_calls_them_and_the_match_as_it_was_written() -> None:
    candidates = [
        {"name": "v1", "cluster": "v1", "weight": 1, "share": 0.5, "ready": True, "route": ":v1.cluster:"},
        {"name": "next", "cluster": "x|v2", "weight": 1, "share": 0.5, "ready": True, "route": ":next.cluster:"},
    ]
    spec = an_experiment(
        default=None,
        candidates=[{"cluster": "v1", "weight": 1}, {"name": "next", "cluster": "x|v2", "weight": 1}],
        mirror={"cluster": "v3", "percent": 1},
        match={"prefix": "/shop"},
    )
    mirror = {"name": "v3", "cluster": "v3", "percent": 1, "ready": True}
    assert status(candidates=candidates, spec=spec, mirror=mirror, events=[])[3:] == [
        "default       none: what matches is split",
        "next cluster  x|v2",
        'match         {"prefix": "/shop"}',
        "conditions    accepted by Envoy, candidates ready, mirror not ready",
        "",
        "CANDIDATE    WEIGHT  SHARE                        READY  ROUTE",
        "v1           1       ██████████░░░░░░░░░░   50 %  yes    :v1.cluster:",
        "next         1       ██████████░░░░░░░░░░   50 %  yes    :next.cluster:",
        "v3 (mirror)  -       █░░░░░░░░░░░░░░░░░░░    1 %  yes    -",
    ]


def test_without_a_mirror_nothing_is_said_of_one() -> None:
    assert status(mirror=None, mirrors=[])[5] == "conditions  accepted by Envoy, candidates ready"


def test_mirrors_and_what_is_left_to_the_default_have_a_line_each() -> None:
    mirrors = [
        {"name": "iris3", "percent": 12.5, "ready": True, "requests": 120},
        {"name": "iris4", "percent": 1, "ready": False, "requests": 9},
    ]
    left = [
        {"name": "holdout", "model": "iris", "percent": 5, "requests": 60},
        {"name": "other_slot", "model": "iris", "percent": 20, "requests": 999},
        {"name": "no_unit", "model": "iris", "percent": None, "requests": 0},
    ]
    lines = status(mirror=mirrors[0], mirrors=mirrors, untouched=left)
    assert lines[5] == "conditions  accepted by Envoy, candidates ready, not all mirrors ready"
    assert lines[10:15] == [
        "iris (holdout)     -       █░░░░░░░░░░░░░░░░    5 %  -      -          60",
        "iris (other slot)  -       ███░░░░░░░░░░░░░░   20 %  -      -          999",
        "iris (no unit)     -       -                         -      -          0",
        "iris3 (mirror)     -       ██░░░░░░░░░░░░░░░ 12.5 %  yes    -          120",
        "iris4 (mirror)     -       █░░░░░░░░░░░░░░░░    1 %  no     -          9",
    ]


def test_nothing_is_asked_of_what_does_not_run() -> None:
    conditions = {"accepted": False, "candidatesReady": False, "mirrorReady": False}
    lines = status(state="STOPPED", reason="stopped by ada", conditions=conditions, candidates=[], mirror=None)
    assert lines[1] == "state    STOPPED: stopped by ada"
    assert not any("accepted" in line for line in lines)


def test_what_is_not_counted_has_no_column_and_what_is_not_known_no_answer() -> None:
    candidates = [{"name": "iris", "weight": 1, "share": 1}]
    lines = status(candidates=candidates, mirror=None, events=[], spec=an_experiment(default=None), revision=None)
    assert lines[2:4] == ["source      api", "default     none: only iris-ab.experiment is split"]
    assert lines[-2:] == [
        "CANDIDATE  WEIGHT  SHARE                        READY  ROUTE",
        "iris       1       ████████████████████  100 %  ?      -",
    ]


def test_problems_stand_below() -> None:
    problems = [{"path": "candidates[0].weight", "message": "must be a whole number"}, {"message": "[red]no[/red]"}]
    lines = status(state="REJECTED", spec=None, candidates=[], mirror=None, events=[], problems=problems)
    assert lines[-3:] == ["Problems:", "  candidates[0].weight: must be a whole number", "  [red]no[/red]"]


@pytest.mark.parametrize(("wide", "shown"), [(False, 5), (True, 20)])
def test_the_last_events_are_shown(wide: bool, shown: int) -> None:
    events = [{"at": "2025-03-01T12:00:00Z", "event": "updated", "detail": f"number {i}"} for i in range(20)]
    lines = status(wide, events=events)
    assert [line.split()[-1] for line in lines if "updated" in line] == [str(i) for i in range(20 - shown, 20)]


@pytest.mark.parametrize(
    ("share", "bar"),
    [
        (0, "░" * 20 + "    0 %"),
        (0.000001, "█" + "░" * 19 + " 0.0001 %"),
        (0.5, "█" * 10 + "░" * 10 + "   50 %"),
        (1 / 3, "█" * 7 + "░" * 13 + " 33.33 %"),
        (1, "█" * 20 + "  100 %"),
        (7, "█" * 20 + "  700 %"),
    ],
)
def test_a_share_is_a_bar(share: float, bar: str) -> None:
    candidates = [{"name": "iris", "weight": 1, "share": share, "ready": True, "route": ""}]
    assert bar in "\n".join(status(candidates=candidates))


def test_a_list_has_a_line_for_each_and_says_what_the_others_wait_for() -> None:
    waiting = a_document(name="other", state="PENDING", reason="waiting for iris3", source="/etc/extproc/other.yaml")
    stopped = a_document(name="past", state="STOPPED", reason="stopped by ada", candidates=[], mirror=None)
    experiments, refused = listed(a_list(a_document(), waiting, stopped))
    assert drawn(experiment_list(experiments, refused, wide=False)) == [
        "NAME     STATE    SPLIT                              SOURCE",
        "iris-ab  ACTIVE   iris ███████ 70 %, iris2 ███ 30 %  api",
        "other    PENDING  iris ███████ 70 %, iris2 ███ 30 %  /etc/extproc/other.yaml",
        "past     STOPPED  -                                  api",
        "",
        "other is PENDING: waiting for iris3",
        "",
        "Not taken:",
        "  ab.json: Experiment other (its last good version stays in force)",
        "    candidates[0].weight: must be a whole number",
    ]


def test_a_long_path_is_folded_and_a_split_is_not() -> None:
    experiments, _ = listed(a_list(a_document(source="/etc/extproc/experiments/of/the/team/iris-ab.json")))
    assert drawn(experiment_list(experiments, (), wide=False)) == [
        "NAME     STATE   SPLIT                              SOURCE",
        "iris-ab  ACTIVE  iris ███████ 70 %, iris2 ███ 30 %  /etc/extproc/experiments/of/",
        "                                                    the/team/iris-ab.json",
    ]


def test_a_wide_list_has_everything_on_one_line() -> None:
    experiments, _ = listed(a_list())
    assert drawn(experiment_list(experiments, (), wide=True), 200) == [
        "NAME     STATE   SPLIT                              SOURCE  REV  DEFAULT  MIRROR        REASON",
        "iris-ab  ACTIVE  iris ███████ 70 %, iris2 ███ 30 %  api     3    iris     iris3 12.5 %  all candidates ready",
    ]


def test_an_empty_list_says_how_to_begin() -> None:
    assert "extproc experiment start -f FILE" in drawn(experiment_list((), (), wide=False))[0]


def test_a_history_tells_who_when_what_and_why() -> None:
    assert drawn(experiment_history(revisions(a_history()), wide=False)) == [
        "REV  WHEN              WHO  ACTION   CHANGE                         WHY",
        "1    2025-03-01 12:00  ada  started  iris 70, iris2 30, default",
        "                                     iris",
        "2    2025-03-01 12:00  ada  updated  timeout unset→1.5s             it is better",
        "3    2025-03-01 12:00  api  stopped",
    ]


def test_nothing_is_wider_than_the_terminal_and_nothing_is_cut_off() -> None:
    name, path = "n" * 63, "/a/" + "very-" * 20 + "long.json"
    candidates = [{"name": f"{i}{name}"[:63], "weight": 2**32 - 1, "share": 1 / 7, "route": ""} for i in range(7)]
    document = a_document(name=name, source=path, candidates=candidates, reason="because " * 40, state="DEGRADED")
    experiments, refused = listed(a_list(document))
    for shown in (
        experiment_list(experiments, refused, wide=False),
        experiment_list(experiments, refused, wide=True),
        experiment_status(experiments[0], wide=True),
    ):
        lines = drawn(shown)
        assert max(map(len, lines)) <= 80
        assert "…" not in "".join(lines)
        assert "".join(lines).count("n") >= 63 * 8


def test_every_state_has_its_colour_and_can_be_waited_for() -> None:
    assert set(STATE_STYLES) == set(STATES) == {state.value for state in ExperimentState}


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2025-03-01T12:00:00.000Z", "2025-03-01 12:00:00"),
        ("2025-03-01T12:00:00+02:00", "2025-03-01 10:00:00"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_times_are_those_of_this_machines_clock(at: str, shown: str) -> None:
    assert local(at) == shown


def test_no_table_is_imported_before_it_is_drawn() -> None:
    """Completion imports the commands at every press of a key."""
    source = Path(__file__).parents[2].joinpath("extproc/cli/experiment.py").read_text()
    assert "\nfrom extproc.cli.experiment_tables" not in source


@settings(max_examples=50)
@given(broken(a_list()))
def test_whatever_fits_can_be_drawn(document: Any) -> None:
    try:
        experiments, refused = listed(document)
    except MisfitError:
        return
    assert drawn(experiment_list(experiments, refused, wide=True))
    for shown in experiments:
        assert drawn(experiment_status(shown, wide=True))


@settings(max_examples=50)
@given(broken(a_history()))
def test_whatever_history_fits_can_be_drawn(document: Any) -> None:
    try:
        found = revisions(document)
    except MisfitError:
        return
    assert drawn(experiment_history(found, wide=True))
