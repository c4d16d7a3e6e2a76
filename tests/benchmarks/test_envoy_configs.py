"""The configurations of the comparison, run by Envoy."""

import http.client
from pathlib import Path

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
