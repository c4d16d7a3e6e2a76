"""The PromQL in `envoy/`: every expression of the alerts and of the dashboard, and which series it asks for.

`promtool`, from PROMTOOL_BIN or PATH, says whether Prometheus takes the files.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import promql_parser
from ruamel.yaml import YAML

ENVOY: Final = Path(__file__).parents[2] / "envoy"
ALERTS: Final = ENVOY / "alerts.yaml"
DASHBOARD: Final = ENVOY / "grafana/extproc.json"

# What Grafana puts in for its variables.
_VARIABLES: Final = {"$__rate_interval": "1m", "$__interval": "1m", "$experiment": ".*"}


def promtool_binary() -> str:
    """The binary's path, "" without one."""
    return os.environ.get("PROMTOOL_BIN") or shutil.which("promtool") or ""


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    return [rule for group in YAML(typ="safe").load(ALERTS)["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def expressions() -> dict[str, str]:
    """Every expression, by where it stands."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules()}
    board = dashboard()
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            found[f"panel {panel['title']}, {target['refId']}"] = target["expr"]
    for annotation in board["annotations"]["list"]:
        found[f"annotation {annotation['name']}"] = annotation["expr"]
    return found


def parsed(expression: str) -> promql_parser.Expr:
    """Raises ValueError when it is no PromQL."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return promql_parser.parse(expression)


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each series that is asked for: the metric's name, and the labels that it must have."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(parsed(expression), visit)
    for selector in found:
        yield str(selector.name), {matcher.name for matcher in selector.matchers.matchers}
