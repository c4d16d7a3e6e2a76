"""OpenAI's API end to end: its own Python client, real Envoy, and servers that know their models by other names."""

import gzip
import json
from collections.abc import Iterator

import openai
import pytest
import urllib3

from extproc.core.assignment import bucket, rendezvous
from extproc.wire.hashing import hash64
from tests.conftest import show_on_failure
from tests.e2e.chats import CHAT, LLAMA, MINI, QWEN, ROUTES, Chats, ask, counted
from tests.e2e.stage import experiment, model
from tests.e2e.unreadable import TOLD, UNREADABLE
from tests.harness.client import fetch
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chats]:
    stage = Chats(tmp_path_factory.mktemp("openai"))
    try:
        stage.open("up")
        yield stage
    finally:
        stage.close()


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest, chats: Chats) -> None:
    show_on_failure(request.node, lambda: ("extproc and Envoy", chats.tail()))
    chats.forget()


def test_chats_are_split_and_each_server_is_called_by_its_own_name(chats: Chats) -> None:
    requests, weighted = counted(chats)
    answers = [ask(chats) for _ in range(60)]
    assert all(said == f"I am {ROUTES[route]}" for said, route in answers)
    low, high = binomial_interval(60, 0.5)
    assert low <= sum(route == ":llama_1:" for _, route in answers) <= high
    mirrored = eventually(
        lambda: chats.mini.requests, within=5, saying="all are mirrored", until=lambda r: len(r) == 60
    )
    assert {sent.json["model"] for sent in mirrored} == {MINI}
    assert {sent.headers["seldon-internal-model"] for sent in mirrored} == {"mini_1"}
    seen = [name for sent in (*chats.llama.requests, *mirrored) for name in sent.headers]
    assert not [name for name in seen if name.startswith("x-extproc-")]
    now = (requests + 60, weighted + 60)
    eventually(lambda: counted(chats), within=10, saying=f"all are decided: {now}", until=lambda seen: seen == now)


def test_a_route_token_is_kept(chats: Chats) -> None:
    assert {ask(chats, extra_headers={"x-seldon-route": ":qwen_3:"})[1] for _ in range(10)} == {":qwen_3:"}


def test_models_are_called_by_their_names_and_experiments_by_theirs(chats: Chats) -> None:
    assert ask(chats, "qwen") == (f"I am {QWEN}", ":qwen_3:")
    assert ask(chats, "chat.experiment")[1] in ROUTES


def test_the_other_calls(chats: Chats) -> None:
    client = chats.client
    assert client.embeddings.create(model="qwen", input="hello").model == QWEN
    assert client.completions.create(model="qwen", prompt="hello").choices[0].text == QWEN
    assert client.responses.create(model="qwen", input="hello").output_text == QWEN
    # What else is under /v1/, and no route of the user's own.
    assert chats.post(b'{"model": "qwen"}', "/v1/rerank").json["model"] == QWEN


def test_a_stream_is_passed_on_as_it_comes(chats: Chats) -> None:
    for server in (chats.llama, chats.qwen):
        server.hold()
    chunks = chats.client.chat.completions.create(model="llama", messages=[], stream=True, timeout=10)
    first = next(chunks)  # the server has not sent the last, and waits until this one is here
    for server in (chats.llama, chats.qwen):
        server.release()
    said = [chunk.choices[0].delta.content for chunk in (first, *chunks)]
    assert said[:2] == ["I ", "am "]
    assert said[2:] in ([LLAMA], [QWEN])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model":"', b'"}'),
        (b' {\n"messages" : [{"model": "x", "n": 1.50}],\t"\\u006dodel"\r:  "', b'" ,"t":1e400,"model ":"\xff"}\n'),
        (
            b'\xef\xbb\xbf{"x":"' + b"\\\\" * 700_000 + b'","model":"',
            b'","y":[' + b"[" * 700_000 + b"]" * 700_000 + b"]}",
        ),
    ],
    ids=["short", "odd", "large"],
)
def test_every_byte_but_the_name_arrives_as_it_was_sent(chats: Chats, before: bytes, after: bytes) -> None:
    chats.post(before + b"qwen" + after)
    assert [sent.body for sent in chats.qwen.requests] == [before + QWEN.encode() + after]
    assert chats.qwen.requests[0].headers["content-length"] == str(len(before + QWEN.encode() + after))
    chats.post(before + b"llama" + after, x_seldon_route=":llama_1:")
    mirrored = eventually(lambda: chats.mini.requests, within=10, saying="a copy has come")
    assert [sent.body for sent in mirrored] == [before + MINI.encode() + after]


def test_the_page_tells_of_each_case() -> None:
    assert TOLD.keys() == UNREADABLE.keys()


@pytest.mark.parametrize(
    ("what", "number"), [(what, number) for what, sent in UNREADABLE.items() for number in range(len(sent))]
)
def test_what_names_no_model_is_refused(chats: Chats, what: str, number: int) -> None:
    body, headers = UNREADABLE[what][number]
    answer = chats.post(body, **headers)
    assert answer.status == TOLD[what][0], answer
    assert answer.headers["content-type"] == "application/json"
    error = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", TOLD[what][1])
    assert ask(chats, "qwen")[0] == f"I am {QWEN}"  # and Envoy goes on


@pytest.mark.parametrize("length_told", [True, False])
def test_what_is_too_large_is_refused(chats: Chats, length_told: bool) -> None:
    body = b'{"model": "qwen", "x": "' + b"x" * 100_000_000 + b'"}'
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    with urllib3.PoolManager() as client:
        answer = client.request(
            "POST", chats.extproc.inference_url + CHAT, body=body if length_told else pieces, retries=False
        )
    assert answer.status == TOLD["more than 64 MiB"][0]
    assert answer.json()["error"]["message"] == "The body is larger than 67108864 bytes"
    assert ask(chats, "qwen")[0] == f"I am {QWEN}"


def test_what_can_be_read_is_passed_on_and_judged_by_the_model(chats: Chats) -> None:
    for body in (b'{"model": "qwen", "x": [nope]}', b'{"model": "qwen", "x": "\xff"}'):
        assert chats.post(body).json["error"]["message"] == "this is no JSON"
    assert chats.post(b'{"model": "qwen"}', content_type="text/plain").status == 200
    assert chats.post(b'{"model": "qwen"}', content_type="application/json; charset=iso-8859-1").status == 200


def test_a_header_comes_before_the_body(chats: Chats) -> None:
    assert chats.post(b'{"model": "whatever"}', seldon_model="qwen").json["model"] == QWEN
    packed = gzip.compress(b'{"model": "llama"}')
    chats.post(packed, seldon_model="qwen", content_encoding="gzip")
    form = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nqwen\r\n--b--\r\n'
    chats.post(form, "/v1/audio/transcriptions", seldon_model="qwen", content_type="multipart/form-data; boundary=b")
    assert chats.qwen.requests[-1].headers["seldon-model"] == "qwen"


def test_the_models_are_listed(chats: Chats) -> None:
    client = chats.client
    listed = {listed.id for listed in client.models.list().data}
    assert listed == {"chat.experiment", "llama", "mini", "mixed.experiment", "qwen"}
    assert client.models.retrieve("llama").id == "llama"
    for unknown in ("gpt", "llama2", "iris"):
        with pytest.raises(openai.NotFoundError) as refused:
            client.models.retrieve(unknown)
        assert refused.value.code == "model_not_found"


def test_the_list_follows_the_models(chats: Chats) -> None:
    def listed() -> set[str]:
        return {listed.id for listed in chats.client.models.list().data}

    before = listed()
    chats.write(*chats.written, model("late", chats.qwen.endpoint, served_name=QWEN, api="OPENAI"))
    eventually(listed, within=10, saying="late is listed", until=lambda now: now == {*before, "late"})
    assert ask(chats, "late") == (f"I am {QWEN}", ":late_1:")
    chats.write(*chats.written)
    eventually(listed, within=10, saying="late is gone", until=lambda now: now == before)
    with pytest.raises(openai.NotFoundError):
        ask(chats, "late")


def test_match_and_units_are_as_for_other_models(chats: Chats) -> None:
    beta = {"headers": [{"name": "x-beta", "string_match": {"exact": "1"}}]}
    weights = {"qwen": 50, "llama": 50}
    chats.put(experiment("users", weights, default="qwen", match=beta, stickiness={"header": "x-user"}))
    try:
        chats.wait_state("users")
        candidates = [(name.encode(), weight) for name, weight in weights.items()]
        for user in (f"user-{i}" for i in range(20)):
            chosen = [":qwen_3:", ":llama_1:"][rendezvous(hash64, bucket(hash64, b"users", user.encode()), candidates)]
            assert ask(chats, "qwen", extra_headers={"x-beta": "1", "x-user": user}) == (
                f"I am {ROUTES[chosen]}",
                chosen,
            )
            assert ask(chats, "qwen", extra_headers={"x-user": user}) == (f"I am {QWEN}", ":qwen_3:")
    finally:
        chats.stop("users")


def test_the_client_understands_what_is_refused(chats: Chats) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(chats, "gpt-4o")
    assert unknown.value.code == "model_not_found"
    assert unknown.value.param == "model"
    assert "'gpt-4o' does not exist" in str(unknown.value)
    with pytest.raises(openai.NotFoundError, match="Nothing is served here"):
        chats.client.files.list()


def test_a_candidate_of_another_api_has_no_part(chats: Chats) -> None:
    status = chats.status("mixed")
    assert status["reason"] == "running without iris (iris speaks another API than the default)"
    assert {ask(chats, "mini")[1] for _ in range(20)} == {":mini_1:"}
    answer = fetch(f"{chats.extproc.inference_url}/v2/models/mini/infer", body=b"{}")
    assert answer.status == 404
    assert "speaks OpenAI's API" in answer.json["error"]


def test_without_extproc_everything_goes_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    stage = Chats(tmp_path_factory.mktemp("alone"))
    try:
        stage.open("serve", "--transport", "grpc")
        assert {ask(stage)[1] for _ in range(30)} == set(ROUTES)
        eventually(lambda: counted(stage), within=10, saying="all are decided", until=lambda seen: seen == (30, 30))
        stage.forget()
        stage.extproc.kill()
        answers = [ask(stage) for _ in range(30)]
        assert {route for _, route in answers} == set(ROUTES)
        assert all(said == f"I am {ROUTES[route]}" for said, route in answers)
        mirrored = eventually(
            lambda: stage.mini.requests, within=5, saying="all are mirrored", until=lambda r: len(r) == 30
        )
        assert {sent.json["model"] for sent in mirrored} == {MINI}
        assert stage.post(json.dumps({"model": "gpt"}).encode()).status == 404
    finally:
        stage.close()
