"""Users' own HTTP filters end to end: what they verify is what units are assigned by, and a bad one harms nobody."""

import http.client
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment
from tests.harness.client import Answer, fetch
from tests.harness.load import Load
from tests.harness.waiting import eventually

FILTER: Final = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"
TYPES: Final = "type.googleapis.com/envoy.extensions.filters.http."
JWT_AUTHN: Final = "envoy.filters.http.jwt_authn"
ISSUER: Final = "https://issuer.example"
KEY, ANOTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
SUBJECTS: Final = [f"user-{number}" for number in range(40)]
IN_NO_MESSAGE: Final = "c2VjcmV0LWtleQ"  # of a key that Envoy can't read

BY_SUBJECT: Final = experiment(
    "by-subject",
    {"iris": 50, "iris2": 50},
    default="iris",
    stickiness={"metadata": {"namespace": JWT_AUTHN, "path": ["jwt", "sub"]}, "on_missing": "DEFAULT"},
)
BY_TENANT: Final = experiment(
    "by-tenant",
    {"iris3": 50, "iris2": 50},
    default="iris3",
    stickiness={"metadata": {"namespace": "tenants", "path": ["id"]}, "on_missing": "DEFAULT"},
)

BY_TIER: Final = experiment(
    "by-tier",
    {"iris2": 50, "iris3": 50},
    default="iris2",
    match={"headers": [{"name": "x-tier", "string_match": {"exact": "gold"}}]},
    stickiness={"metadata": {"namespace": "tenants", "path": ["id"]}},
)
# Who is asked for by what a request brings is found out by the filter alone.
LEADS: Final = """
function envoy_on_request(handle)
  local headers = handle:headers()
  for sent, put in pairs({ ["x-key"] = "x-tier", ["x-wants"] = "seldon-model" }) do
    if headers:get(sent) then
      headers:replace(put, headers:get(sent))
      handle:clearRouteCache()
    end
  end
end
"""


def jwt_authn(keys: list[dict[str, Any]]) -> dict[str, Any]:
    """Tokens are verified where there are any."""
    provider = {
        "issuer": ISSUER,
        "local_jwks": {"inline_string": json.dumps({"keys": keys})},
        "payload_in_metadata": "jwt",
    }
    wanted = {"requires_any": {"requirements": [{"provider_name": "ours"}, {"allow_missing": {}}]}}
    config = {"providers": {"ours": provider}, "rules": [{"match": {"prefix": "/"}, "requires": wanted}]}
    return {
        "@type": FILTER,
        "name": JWT_AUTHN,
        "typed_config": {"@type": f"{TYPES}jwt_authn.v3.JwtAuthentication", **config},
    }


def tenants(header: str = "x-tenant") -> dict[str, Any]:
    target = {"metadata_namespace": "tenants", "key": "id", "type": "STRING"}
    config = {"request_rules": [{"header": header, "on_header_present": target}]}
    return {
        "@type": FILTER,
        "name": "tenants",
        "typed_config": {"@type": f"{TYPES}header_to_metadata.v3.Config", **config},
    }


def leads() -> dict[str, Any]:
    config = {"default_source_code": {"inline_string": LEADS}}
    return {"@type": FILTER, "name": "leads", "typed_config": {"@type": f"{TYPES}lua.v3.Lua", **config}}


def public(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The public half as a JWK (RFC 7517)."""
    told: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**told, "alg": "RS256"}


def signed(subject: str, key: rsa.RSAPrivateKey = KEY) -> dict[str, str]:
    token = jwt.encode({"iss": ISSUER, "sub": subject}, key, algorithm="RS256")
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("filters"))
    try:
        stage.write(tenants(), leads(), jwt_authn([public(KEY)]), BY_SUBJECT, BY_TENANT, BY_TIER)
        stage.start("up")
        for name in ("by-subject", "by-tenant", "by-tier"):
            stage.wait_state(name)
        yield stage
    finally:
        stage.close()


@pytest.fixture
def stage(request: pytest.FixtureRequest, running: Stage) -> Stage:
    show_on_failure(request.node, lambda: ("extproc and Envoy", running.tail()))
    return running


def ask(stage: Stage, headers: dict[str, str], model: str = "iris") -> Answer:
    return fetch(f"{stage.extproc.inference_url}/v2/models/{model}/infer", headers=headers, body=b"{}")


def served(answer: Answer) -> str:
    assert answer.status == 200, answer
    return {":iris_1:": "iris", ":iris2_2:": "iris2", ":iris3_1:": "iris3"}[answer.headers["x-seldon-route"]]


def assigned(stage: Stage, name: str) -> dict[str, str]:
    """What `extproc experiment assign` says of everybody."""
    argv = [sys.executable, "-m", "extproc", "experiment", "assign", name, *SUBJECTS, "-o", "json"]
    argv += ["--admin", stage.extproc.admin_url]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    return {row["unit"]: row["candidate"] for row in json.loads(told)["assignments"]}


def refusals(stage: Stage) -> dict[str, str]:
    """What was not taken, by name, with the first problem of each."""
    told = stage.extproc.admin("/api/v1/experiments").json["problems"]
    return {each["name"]: each["problems"][0]["message"] for each in told}


def test_a_verified_subject_keeps_its_candidate(stage: Stage) -> None:
    expected = assigned(stage, "by-subject")
    assert set(expected.values()) == {"iris", "iris2"}
    for _ in range(2):
        assert {subject: served(ask(stage, signed(subject))) for subject in SUBJECTS} == expected


def test_nobody_is_somebody_else_and_nobody_at_all_gets_the_default(stage: Stage) -> None:
    assert {ask(stage, signed(SUBJECTS[0], ANOTHER_KEY)).status for _ in range(20)} == {401}
    assert {served(ask(stage, {})) for _ in range(20)} == {"iris"}


def test_what_a_filter_answers_is_no_candidate_s(stage: Stage) -> None:
    def codes() -> Counter[str]:
        found = stage.extproc.admin("/api/v1/experiments/by-subject").json
        rows = [row["outcomes"]["byCode"] for row in [*found["candidates"], *found["untouched"]]]
        return sum(map(Counter, rows), Counter())

    def untold() -> int:
        path = "/stats?format=json&filter=^access_logs.grpc_access_log.(logs_written|grpc_entries_flushed)$"
        values = [int(stat["value"]) for stat in fetch(stage.extproc.envoy_admin_url + path).json["stats"]]
        return max(values) - min(values)

    eventually(untold, within=15, saying="Envoy has told of all requests before these", until=(0).__eq__)
    before = codes()["2xx"]
    for _ in range(20):
        assert ask(stage, signed(SUBJECTS[0], ANOTHER_KEY)).status == 401
        assert ask(stage, signed(SUBJECTS[0])).status == 200
    eventually(
        lambda: codes()["2xx"] - before, within=15, saying="what was let through", until=range(20, 99).__contains__
    )
    assert codes()["4xx"] == 0, codes()


def test_any_filter_s_metadata_will_do(stage: Stage) -> None:
    expected = assigned(stage, "by-tenant")
    assert set(expected.values()) == {"iris3", "iris2"}
    assert {tenant: served(ask(stage, {"x-tenant": tenant}, "iris3")) for tenant in SUBJECTS} == expected


def test_what_a_filter_leads_elsewhere_is_decided_on_there(stage: Stage) -> None:
    """A request has the filters of the route that it would have taken without: of a plain one, of none at all."""
    of_tier, of_tenant = assigned(stage, "by-tier"), assigned(stage, "by-tenant")
    assert set(of_tier.values()) == {"iris2", "iris3"}
    for unit in SUBJECTS:
        tenant = {"x-tenant": unit}
        assert served(ask(stage, {**tenant, "x-key": "gold"}, "iris2")) == of_tier[unit]
        assert served(ask(stage, {**tenant, "x-wants": "iris3"}, "nothing")) == of_tenant[unit]
    assert {served(ask(stage, {"x-tenant": unit}, "iris2")) for unit in SUBJECTS} == {"iris2"}


def test_a_change_of_filters_fails_no_request(stage: Stage) -> None:
    """Envoy keeps the port open, and a connection has the filters that it began with until it ends."""

    def updates() -> int:
        path = "/stats?format=json&filter=^listener_manager.listener_in_place_updated$"
        (found,) = fetch(stage.extproc.envoy_admin_url + path).json["stats"]
        return int(found["value"])

    before = updates()
    kept = http.client.HTTPConnection("127.0.0.1", stage.extproc.inference_port, timeout=10)

    def closes() -> bool:
        kept.request("POST", "/v2/models/iris/infer", b"{}")
        answer = kept.getresponse()
        answer.read()
        assert answer.status == 200
        return answer.will_close

    assert not closes()
    with Load(f"{stage.extproc.inference_url}/v2/models/iris/infer", rate=300, headers=signed(SUBJECTS[0])) as load:
        load.wait_for(100)
        stage.write(tenants("x-team"), jwt_authn([public(KEY)]), BY_SUBJECT, BY_TENANT)
        eventually(updates, within=15, saying="the listener is updated", until=(before + 1).__eq__)
        assert closes(), "so that the next request meets the new filters"
        load.wait_for(100)
        stage.write(tenants(), jwt_authn([public(KEY)]), BY_SUBJECT, BY_TENANT)
        eventually(updates, within=15, saying="the listener is updated again", until=(before + 2).__eq__)
        load.wait_for(100)
        result = load.stop()
    kept.close()
    assert result.failed == 0, str(result)


def test_a_filter_that_envoy_refuses_is_set_aside_alone(stage: Stage) -> None:
    """Its last good version stays, all else that changed with it is in force, and what it says is shown to nobody."""
    unreadable = {"kty": "RSA", "alg": "RS256", "n": IN_NO_MESSAGE, "e": IN_NO_MESSAGE, "x5c": IN_NO_MESSAGE}
    changed = {**BY_SUBJECT, "candidates": [{"name": "iris", "weight": 0}, {"name": "iris2", "weight": 100}]}
    stage.write(tenants(), jwt_authn([unreadable]), changed, BY_TENANT)
    found = eventually(lambda: refusals(stage), within=15, saying="the filter is refused")
    assert found[JWT_AUTHN].startswith("Envoy refused it: "), found
    assert "jwks" in found[JWT_AUTHN], found
    stage.wait_weights("by-subject", [0, 100])
    stage.wait_state("by-subject")
    assert served(ask(stage, signed(SUBJECTS[0]))) == "iris2"
    assert ask(stage, signed(SUBJECTS[0], ANOTHER_KEY)).status == 401, "tokens are verified as before"
    assert IN_NO_MESSAGE not in stage.extproc.log + json.dumps(stage.extproc.admin("/api/v1/experiments").json)

    stage.write(tenants(), jwt_authn([public(ANOTHER_KEY)]), BY_SUBJECT, BY_TENANT)
    eventually(lambda: refusals(stage), within=15, saying="the corrected filter is taken", until=lambda left: not left)
    eventually(
        lambda: (ask(stage, signed("a", KEY)).status, ask(stage, signed("a", ANOTHER_KEY)).status),
        within=15,
        saying="the new key counts",
        until=(401, 200).__eq__,
    )


def test_one_that_was_never_good_is_left_out(stage: Stage) -> None:
    # Of a type that is known here, and that only Envoy knows to be nonsense.
    script = {"inline_string": f"local key = '{IN_NO_MESSAGE}' }}"}
    lua = {"@type": f"{TYPES}lua.v3.Lua", "default_source_code": script}
    bad = {"@type": FILTER, "name": "local", "typed_config": lua}
    stage.write(bad, tenants("x-team"), jwt_authn([public(KEY)]), BY_SUBJECT, BY_TENANT)
    found = eventually(lambda: refusals(stage), within=15, saying="the filter is refused", until=lambda r: "local" in r)
    assert list(found) == ["local"], "and no other"
    assert "unexpected symbol" in found["local"] or "expected near" in found["local"], found
    assert IN_NO_MESSAGE not in stage.extproc.log + json.dumps(stage.extproc.admin("/api/v1/experiments").json)
    expected = assigned(stage, "by-tenant")
    eventually(
        lambda: {tenant: served(ask(stage, {"x-team": tenant}, "iris3")) for tenant in SUBJECTS},
        within=15,
        saying="what was changed with it counts",
        until=expected.__eq__,
    )
