"""What the client of the admin HTTP sends, and what it makes of everything that a server or a network can do."""

import json
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.cli.admin_client import AdminClient
from extproc.cli.admin_errors import AdminGarbledError, AdminRefusedError, AdminUnreachableError
from extproc.errors import ExtprocError, Problem
from tests.cli.fake_admin import FakeAdmin
from tests.cli.raw_server import RawServer, http
from tests.harness.ports import free_port
from tests.wire.given import an_experiment

JSON = "application/json"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def raw() -> Iterator[RawServer]:
    """One raw server for many replies."""
    with RawServer(b"") as server:
        yield server


def test_what_is_sent_is_the_contract(admin: FakeAdmin) -> None:
    client = AdminClient(admin.url + "/")
    assert client.start(an_experiment(), caller="ada", why="a & b = ü", wait=False).created
    changed = client.start(an_experiment(timeout="1s"), revision=1)
    assert (changed.created, changed.document["revision"]) == (False, 2)
    assert client.roll_back("iris-ab", 1, caller="ada").document["changed"]
    assert client.stop("iris-ab", why="done").document["state"] == "STOPPED"
    assert [one["action"] for one in client.history("iris-ab")["revisions"]] == [
        "started",
        "updated",
        "rolled_back",
        "stopped",
    ]
    assert client.experiment("iris-ab")["name"] == "iris-ab"
    assert len(client.experiments()["experiments"]) == 1
    assert admin.requests == [
        "PUT /api/v1/experiments/iris-ab?caller=ada&why=a+%26+b+%3D+%C3%BC&wait=false",
        "PUT /api/v1/experiments/iris-ab?wait=true",
        "POST /api/v1/experiments/iris-ab/rollback?caller=ada",
        "DELETE /api/v1/experiments/iris-ab?why=done",
        "GET /api/v1/experiments/iris-ab/history",
        "GET /api/v1/experiments/iris-ab",
        "GET /api/v1/experiments",
    ]
    assert admin.revisions["iris-ab"][0]["why"] == "a & b = ü"


@pytest.mark.parametrize("name", ["a/b", "a b", "ä", "a?b=c", "%2e", "a\udcff"])
def test_no_name_leads_to_another_path(admin: FakeAdmin, name: str) -> None:
    with pytest.raises(AdminRefusedError, match="unknown experiment"):
        AdminClient(admin.url).experiment(name)


def test_a_path_before_the_api_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = AdminClient(f"http://127.0.0.1:{listening.getsockname()[1]}/team/extproc/", within=0.05)
        with pytest.raises(AdminUnreachableError, match=r"no answer within 0\.05 s"):
            client.experiments()
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.recv(65536).startswith(b"GET /team/extproc/api/v1/experiments HTTP/1.1\r\n")


def test_the_proxies_of_the_environment_are_not_asked(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert AdminClient(admin.url).experiments()["experiments"] == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://127.0.0.1",
        "http://",
        "http://[::1",
        "http://h:99999",
        "http://h:0",
        "http://h:x",
        "http://user:secret@h",
        "http://h/?a=b",
        "http://h/#f",
        "http://h/a b",
        "http://h/\n",
        "http://hö",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        AdminClient(url)


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(AdminUnreachableError) as caught:
        AdminClient(url).start(an_experiment())
    reason, following = str(caught.value).splitlines()
    assert reason == f"{url}: connection refused"
    assert following.startswith("Is extproc running there? Start it with `extproc up`, or give the address")
    assert following.endswith("with --admin or EXTPROC_ADMIN.")


def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AdminUnreachableError, match=r"no host is called a\.\.b"):
        AdminClient("http://a..b").experiments()

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AdminUnreachableError, match="no host is called nobody"):
        AdminClient("http://nobody").experiments()


def test_no_tls_where_tls_is_asked_for(raw: RawServer) -> None:
    raw.reply = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with pytest.raises(AdminUnreachableError, match="no TLS connection can be made"):
        AdminClient(raw.url.replace("http:", "https:"), within=5).experiments()


@pytest.mark.parametrize("reply", [b"", http("200 OK", JSON, "{", length=1000)], ids=["silence", "half an answer"])
def test_an_answer_that_takes_too_long_even_when_something_keeps_coming(reply: bytes) -> None:
    begun = time.monotonic()
    with RawServer(reply, drip=0.02) as server, pytest.raises(AdminUnreachableError, match=r"no answer within 0\.3 s"):
        AdminClient(server.url, within=0.3).experiments()
    assert time.monotonic() - begun < 3


def test_a_change_without_an_answer_may_have_been_made_and_a_look_changes_nothing(raw: RawServer) -> None:
    raw.reply = b""
    client = AdminClient(raw.url)
    with pytest.raises(AdminUnreachableError, match="Whether the change was made is not known"):
        client.start(an_experiment())
    with pytest.raises(AdminUnreachableError) as caught:
        client.experiments()
    assert "not known" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"", "the connection was closed without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP/1.1"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 abc\r\n\r\n", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n" + b"a" * 100_000, "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000, "does not speak HTTP/1.1"),
        (http("200 OK", JSON, "{}", length=100), "in the middle of the answer"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "in the middle of the answer",
        ),
    ],
)
def test_what_is_no_answer(raw: RawServer, reply: bytes, said: str) -> None:
    raw.reply = reply
    with pytest.raises(AdminUnreachableError, match=said):
        AdminClient(raw.url).experiments()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (http("200 OK", "text/html", "<html>"), "200 OK, with text/html where application/json belongs"),
        (http("200 OK", JSON, "<html>"), "200 OK, with a body that is not JSON"),
        (http("200 OK", JSON, "[]"), "200 OK, with JSON that is no object"),
        (http("200 OK", JSON, b"\xff\xfe\xfd"), "a body that is not JSON"),
        (http("200 OK", JSON, '{"a": NaN}'), "a body that is not JSON"),
        (http("200 OK", JSON, "[" * 200_000), "a body that is not JSON"),
        (http("200 OK", JSON, '{"a": ' + "9" * 5000 + "}"), "a body that is not JSON"),
        (http("200 OK", JSON, ""), "a body that is not JSON"),
        (http("302 Found", JSON, "{}"), "302 Found"),
        (http("502 Bad Gateway", "text/html", "<html>"), "502 Bad Gateway, with text/html where"),
        (http("404 Not Found", JSON, "{}"), "404 Not Found, with application/json where"),
        (http("404 \x1b[31mNo", PROBLEM, "no"), r"404 \\x1b\[31mNo, with a body that is not JSON"),
    ],
)
def test_an_answer_that_is_not_extprocs(raw: RawServer, reply: bytes, said: str) -> None:
    raw.reply = reply
    with pytest.raises(AdminGarbledError, match=said) as caught:
        AdminClient(raw.url).experiments()
    assert "--admin" in str(caught.value)


def test_a_refusal_tells_every_problem_and_what_to_do() -> None:
    body = {
        "title": "invalid",
        "status": 422,
        "detail": "candidates[0].weight: is \x1b[31mbad; default: is bad",
        "problems": [{"path": "candidates[0].weight", "message": "is\nbad"}, {"path": "", "message": "is bad"}],
    }
    with RawServer(http("422 X", PROBLEM, json.dumps(body))) as server, pytest.raises(AdminRefusedError) as caught:
        AdminClient(server.url).start(an_experiment())
    assert caught.value.status == 422
    assert caught.value.problems == (Problem("candidates[0].weight", "is bad"), Problem("", "is bad"))
    assert str(caught.value).splitlines() == [
        "invalid",
        "  candidates[0].weight: is bad",
        "  is bad",
        "Nothing was changed. Correct what is named above, and run the command again.",
    ]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (409, "who owns what"),
        (412, "`extproc experiment history iris-ab`"),
        (413, "Is this the right file?"),
        (500, "This is a fault of extproc; its log"),
        (503, "Run the command again when the reason is gone"),
        (504, "`extproc experiment status iris-ab -w` waits for it"),
        (507, "Make room on the disk"),
    ],
)
def test_every_refusal_says_what_to_do_next(admin: FakeAdmin, status: int, said: str) -> None:
    admin.refuse(status, "no", "because {0} {name}")
    with pytest.raises(AdminRefusedError) as caught:
        AdminClient(admin.url).stop("iris-ab")
    first, next_step = str(caught.value).splitlines()
    assert first == "no: because {0} {name}"
    assert said in next_step


@pytest.mark.parametrize(
    "body", ["{}", '{"title": 5, "detail": [], "problems": 7}', '{"problems": [1, {"path": 5}, {"message": null}]}']
)
def test_problem_details_that_are_garbled_still_refuse(raw: RawServer, body: str) -> None:
    raw.reply = http("409 Conflict", PROBLEM, body)
    with pytest.raises(AdminRefusedError, match="refused with status 409"):
        AdminClient(raw.url).stop("iris-ab")


def test_a_body_over_the_limit_is_refused_and_not_a_broken_pipe(admin: FakeAdmin) -> None:
    candidates = [{"name": f"m{i:062}", "weight": 1} for i in range(30_000)]
    with pytest.raises(AdminRefusedError, match="Is this the right file"):
        AdminClient(admin.url).start(an_experiment(default="m" + "0" * 62, candidates=candidates))


def test_a_server_that_answers_before_it_has_read_all_is_heard() -> None:
    body = json.dumps({"title": "too large", "detail": "at most 1 MiB"})
    spec = an_experiment(candidates=[{"name": "m" * 60, "weight": i} for i in range(100_000)])
    with RawServer(http("413 X", PROBLEM, body)) as server, pytest.raises(ExtprocError) as caught:
        AdminClient(server.url).start(spec)
    # Whether the answer is still there depends on what the kernel throws away when the connection is reset.
    assert isinstance(caught.value, AdminRefusedError | AdminUnreachableError)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            http,
            st.sampled_from(["200 OK", "201 Created", "404 No", "503 X", "100 Continue", "204 None", "999 Y"]),
            st.sampled_from([JSON, PROBLEM, "text/plain", "", "x\r\nTransfer-Encoding: chunked"]),
            st.binary(max_size=50),
            length=st.one_of(st.none(), st.integers(0, 60)),
        ),
    )
)
def test_whatever_a_server_sends_ends_in_an_error_for_a_user(raw: RawServer, reply: bytes) -> None:
    raw.reply = reply
    with pytest.raises(ExtprocError):
        AdminClient(raw.url, within=5).experiment("iris-ab")
