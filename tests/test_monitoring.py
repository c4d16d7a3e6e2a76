"""What `envoy/` ships for Prometheus and Grafana: valid, and asking for nothing that extproc does not tell.

That every metric and label is in a real scrape is shown by tests/e2e/test_metrics.py.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.harness.promql import ALERTS, ENVOY, dashboard, expressions, parsed, promtool_binary, rules

TESTS = Path(__file__).parent / "fixtures/prometheus/alerts.test.yaml"
PROMTOOL = promtool_binary()

needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="no promtool in PROMTOOL_BIN or on PATH")


def load(file: Path) -> Any:
    return YAML(typ="safe").load(file)


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", str(ENVOY / "prometheus.yml")),
        ("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS)),
        ("test", "rules", str(TESTS)),
    ],
    ids=["config", "rules", "alerts"],
)
def test_prometheus_takes_it(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("where", "expression"), expressions().items(), ids=list(expressions()))
def test_every_expression_is_promql(where: str, expression: str) -> None:
    assert parsed(expression).prettify(), where


def test_every_alert_has_a_name_of_its_own_a_severity_and_says_what_it_means() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["alert"].startswith("Extproc")
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_every_alert_is_tested_to_fire_and_to_stay_silent() -> None:
    cases = [case for test in load(TESTS)["tests"] for case in test["alert_rule_test"]]
    for fires in (True, False):
        tested = {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires}
        assert tested == {rule["alert"] for rule in rules()}


def test_prometheus_loads_the_rules_that_are_shipped_and_scrapes_the_job_they_know() -> None:
    config = load(ENVOY / "prometheus.yml")
    assert [(ENVOY / name).resolve() for name in config["rule_files"]] == [ALERTS]
    (job,) = config["scrape_configs"]
    named = {name for expression in expressions().values() for name in re.findall(r'job="(\w+)"', expression)}
    assert named == {job["job_name"]}


def test_the_dashboard_is_whole() -> None:
    board = dashboard()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        if panel["type"] == "row":
            continue
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)), "two panels lie on each other"
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", str(board))) - {"__rate_interval", "__interval", "__all"}
    assert used == variables
