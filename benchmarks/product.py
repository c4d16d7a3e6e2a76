"""What the measures of names in bodies run on: `extproc up`, one Envoy thread, and models that cost nearly nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import envoy_configs
from tests.harness.envoy import RunningEnvoy
from tests.harness.extproc import RunningExtproc
from tests.harness.ports import free_port

_TYPE = "type.googleapis.com/extproc.v1."


@contextmanager
def serving(
    directory: Path, models: Mapping[str, Mapping[str, Any]], experiments: Sequence[str], endpoints: str
) -> Iterator[RunningExtproc]:
    """Serves `models`, what is said of each by its name, and an experiment for each default in `experiments`.

    `endpoints` is the field that says where a model is. An experiment `iris` is between the models `iris` and `iris2`.
    """
    ports = {name: free_port() for name in models}
    resources = directory / "resources.json"
    defined = [
        {"@type": f"{_TYPE}Model", "name": name, endpoints: [f"127.0.0.1:{ports[name]}"], **said}
        for name, said in models.items()
    ]
    resources.write_text(json.dumps({"resources": [*defined, *map(_experiment, experiments)]}))
    far = RunningEnvoy(envoy_configs.models(list(ports.values())), directory, arguments=("--log-level", "error"))
    with far, RunningExtproc(["up", "--resources", str(resources), "--envoy-concurrency", "1"], directory) as product:
        far.wait_live()
        product.wait_ready()
        yield product


def _experiment(default: str) -> dict[str, Any]:
    candidates = [{"name": default, "weight": 70}, {"name": f"{default}2", "weight": 30}]
    return {"@type": f"{_TYPE}Experiment", "name": f"{default}-ab", "default": default, "candidates": candidates}
