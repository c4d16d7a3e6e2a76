"""docs/filters.md: what it shows can be copied, and Envoy takes it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from extproc import names
from extproc.core.resources import Experiment
from extproc.server.envoy import find_envoy
from extproc.wire.manifests import read
from tests.test_packaging import ROOT

PAGE = (ROOT / "docs" / "filters.md").read_text()


def test_the_example_is_valid_and_envoy_takes_it(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    models: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/extproc.v1.Model", "name": name, "endpoints": ["127.0.0.1:1"]}
        for name in ("iris", "iris2")
    ]
    resources = tmp_path / "resources.json"
    resources.write_text(json.dumps({"resources": [*json.loads(example)["resources"], *models]}))
    (experiment,) = [
        offer.resource
        for offer in read(resources.read_bytes(), resources.name).offers
        if isinstance(offer.resource, Experiment)
    ]
    assert experiment.stickiness is not None
    argv = [sys.executable, "-m", "extproc", "render", "config", "--resources", str(resources)]
    config = tmp_path / "config.json"
    config.write_text(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout)
    check = [find_envoy(), "--mode", "validate", "--config-path", str(config)]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_names_that_can_t_be_given_are_those_of_the_page() -> None:
    assert all(f"`{name}`" in PAGE for name in (*names.RESERVED_FILTERS, names.OWN_FILTERS))
