"""What a whole extproc logs at debug level: one line for each decision, and nothing of any request."""

import json
from typing import Any

from tests.e2e.stage import Stage, experiment
from tests.harness.client import fetch
from tests.harness.waiting import eventually

SECRETS = ("hunter2", "s3ss10n", "k3y", "l0gin", "b0dy")


def decisions(stage: Stage) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stage.extproc.log.splitlines()]
    return [line for line in lines if line["logger"] == "extproc.decisions"]


def test_each_decision_is_one_line_and_no_line_tells_a_secret(stage: Stage) -> None:
    stage.write(experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris"))
    stage.start("up", "--log-level", "debug", "--log-format", "json")
    stage.wait_state("iris-ab")
    eventually(lambda: stage.status("iris-ab")["revision"], within=10, saying="it is recorded")
    headers = {
        "authorization": "Bearer hunter2",
        "cookie": "id=s3ss10n",
        "x-api-key": "k3y",
        "proxy-authorization": "Basic l0gin",
    }
    asked: list[tuple[str, str]] = []
    for token in (None, ":iris2_2:", ":iris2_2:", ":gone_9:"):
        sent = {**headers, **({"x-seldon-route": token} if token else {})}
        answer = fetch(
            f"{stage.extproc.inference_url}/v2/models/iris/infer?q=hunter2",
            headers=sent,
            body={"inputs": [], "parameters": {"note": "b0dy"}},
        )
        outcome = {None: "weighted", ":iris2_2:": "sticky", ":gone_9:": "stale_token"}[token]
        asked.append(({":iris_1:": "iris", ":iris2_2:": "iris2"}[answer.headers["x-seldon-route"]], outcome))
    lines = eventually(lambda: decisions(stage), within=10, saying="a line for each", until=lambda n: len(n) == 4)
    assert sorted((line["candidate"], line["outcome"]) for line in lines) == sorted(asked)
    assert {(line["experiment"], line["revision"], line["severity"]) for line in lines} == {("iris-ab", 1, "DEBUG")}
    refused = stage.put({**experiment("bad", {}), "why": "b0dy"}, headers=headers)
    assert refused.status == 422
    assert [secret for secret in SECRETS if secret in stage.extproc.log + stage.extproc.output] == []
