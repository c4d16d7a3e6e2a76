"""The configurations of the comparison, run by Envoy."""

import http.client
import json
from pathlib import Path
from typing import Any

from benchmarks import envoy_configs
from tests.harness.envoy import RunningEnvoy
from tests.harness.ports import free_port


def test_models_answer_at_once_and_keep_the_connection(tmp_path: Path) -> None:
    port = free_port()
    with RunningEnvoy.start(envoy_configs.models([port]), tmp_path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(2):
            connection.request("POST", "/v2/models/iris/infer", body=b"{}")
            answer = connection.getresponse()
            assert (answer.status, answer.will_close) == (200, False)
            assert b"outputs" in answer.read()
        connection.close()


def test_without_bodies_only_the_question_and_the_router_are_left(tmp_path: Path) -> None:
    resources = tmp_path / "resources.json"
    model = {"@type": "type.googleapis.com/extproc.v1.Model", "name": "iris", "endpoints": ["127.0.0.1:1"]}
    resources.write_text(json.dumps({"resources": [model]}))
    config = envoy_configs.generated(resources, 1)
    whole, bare = (_filters(envoy_configs.for_peer(config, 2, bodies)) for bodies in (True, False))
    assert bare == ["envoy.filters.http.ext_proc", "envoy.filters.http.router"]
    assert [name for name in whole if name in bare] == bare
    assert len(whole) > len(bare)


def _filters(config: dict[str, Any]) -> list[str]:
    [inference] = (each for each in config["static_resources"]["listeners"] if each["name"] == "inference")
    manager = inference["filter_chains"][0]["filters"][0]["typed_config"]
    return [each["name"] for each in manager["http_filters"]]
