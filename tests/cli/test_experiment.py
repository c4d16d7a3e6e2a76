"""`extproc experiment …` as users call it, against an admin HTTP that holds it to the contract."""

import getpass
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from extproc.wire.yaml12 import documents
from tests.cli.conftest import Extproc
from tests.cli.documents import a_document, a_history, a_list
from tests.cli.fake_admin import FakeAdmin
from tests.cli.raw_server import RawServer, http
from tests.harness.ports import free_port
from tests.wire.given import a_manifest, a_model, an_experiment

COMMANDS = (
    ("start", "-f", "-"),
    ("stop", "iris-ab"),
    ("status", "iris-ab"),
    ("list",),
    ("get", "iris-ab"),
    ("history", "iris-ab"),
    ("rollback", "iris-ab", "1"),
)
PENDING = ("PENDING", "waiting for iris2 (no Model defines iris2); iris answers alone")


def text(*resources: Any) -> bytes:
    """What stands in a file of these resources."""
    return json.dumps(resources[0] if len(resources) == 1 else {"resources": resources}).encode()


AB = text(an_experiment())


def evenly() -> bytes:
    """iris-ab with another split."""
    return text(an_experiment(candidates=[{"name": "iris", "weight": 50}, {"name": "iris2", "weight": 50}]))


# start


def test_start_update_and_start_of_what_runs(experiment: Extproc) -> None:
    assert experiment("start", "-f", "-", stdin=AB).out == (
        "iris-ab: started (revision 1)\n  ACTIVE: all candidates ready\n"
    )
    assert experiment("start", "-f", "-", stdin=evenly()).out == (
        "iris-ab: updated (revision 2)\n  ACTIVE: all candidates ready\n"
    )
    assert experiment("start", "-f", "-", stdin=evenly()).out == (
        "iris-ab: unchanged: already runs at revision 2\n  ACTIVE: all candidates ready\n"
    )


def test_what_waits_says_how_to_wait(experiment: Extproc, admin: FakeAdmin) -> None:
    admin.then("iris-ab", PENDING)
    ran = experiment("start", "-f", "-", stdin=AB)
    assert ran.out.splitlines()[1:] == [
        f"  {PENDING[0]}: {PENDING[1]}",
        "  `extproc experiment status iris-ab -w` waits until it is ACTIVE",
    ]


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (AB, "json"),
        (text(a_manifest()), "json"),
        (text(a_manifest()), "yaml"),
        (text(an_experiment(), a_manifest()), ""),
    ],
)
def test_start_of_a_file(content: bytes, suffix: str, experiment: Extproc, admin: FakeAdmin, tmp_path: Path) -> None:
    file = tmp_path / f"it.{suffix}"
    file.write_bytes(content)
    ran = experiment("start", "-f", file)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("started (revision 1)") == len(admin.revisions)
    assert admin.revisions


def test_who_and_why_are_told(experiment: Extproc, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment("start", "-f", "-", "--why", "grün & gut", stdin=AB)
    experiment("start", "-f", "-", "--caller", "bob", stdin=evenly())
    monkeypatch.setenv("EXTPROC_CALLER", "ci")
    experiment("stop", "iris-ab", "--why", "done")
    assert [(one["caller"], one["why"]) for one in admin.revisions["iris-ab"]] == [
        ("ada", "grün & gut"),
        ("bob", ""),
        ("ci", "done"),
    ]


def test_a_user_without_a_name_is_a_number(
    experiment: Extproc, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert experiment("start", "-f", "-", stdin=AB).code == 0
    assert admin.revisions["iris-ab"][0]["caller"] == str(os.getuid())


def test_waiting_is_the_default(experiment: Extproc, admin: FakeAdmin) -> None:
    experiment("start", "-f", "-", stdin=AB)
    experiment("start", "-f", "-", "--no-wait", stdin=AB)
    assert [request.rpartition("wait=")[2] for request in admin.requests] == ["true", "false"]


def test_if_match_is_for_the_revision_that_was_seen(experiment: Extproc, admin: FakeAdmin) -> None:
    assert experiment("start", "-f", "-", "--if-match", "0", stdin=AB).code == 0
    assert experiment("start", "-f", "-", "--if-match", "1", stdin=evenly()).code == 0
    ran = experiment("start", "-f", "-", "--if-match", "1", stdin=AB)
    assert ran.code == 1
    assert ran.err.startswith("extproc: iris-ab: another revision: experiment 'iris-ab' is at revision 2, not")
    assert "`extproc experiment history iris-ab` shows what was changed since" in ran.err
    assert len(admin.revisions["iris-ab"]) == 2


def test_if_match_is_for_one_experiment(experiment: Extproc, admin: FakeAdmin) -> None:
    two = text(an_experiment(), an_experiment(name="other"))
    ran = experiment("start", "-f", "-", "--if-match", "1", stdin=two)
    assert ran.code == 2
    assert "--if-match names the revision of one experiment, and standard input holds 2" in ran.err
    assert admin.requests == []


def test_nothing_of_a_file_with_a_mistake_is_started(experiment: Extproc, admin: FakeAdmin) -> None:
    ran = experiment("start", "-f", "-", stdin=text(an_experiment(), an_experiment(name="other", default="x")))
    assert ran.code == 1
    first, problem, *_ = ran.err.splitlines()
    assert first == "extproc: standard input: 1 problem, nothing was started"
    assert problem.startswith("  Experiment other: default: 'x' is not among the candidates (iris, iris2)")
    assert admin.requests == []


def test_models_are_told_where_they_belong(experiment: Extproc, admin: FakeAdmin) -> None:
    ran = experiment("start", "-f", "-", stdin=text(a_model(), an_experiment()))
    assert ran.code == 1
    assert "Model iris: put models into the --resources file" in ran.err
    assert admin.requests == []


def test_one_that_is_refused_does_not_keep_the_others_from_starting(experiment: Extproc, admin: FakeAdmin) -> None:
    admin.files["iris-ab"] = "/etc/extproc/ab.json"
    ran = experiment("start", "-f", "-", stdin=text(an_experiment(), an_experiment(name="other")))
    assert ran.code == 1
    assert ran.out.startswith("other: started (revision 1)\n")
    assert ran.err.splitlines() == [
        "extproc: iris-ab: conflict",
        "  name: 'iris-ab' is managed by the file /etc/extproc/ab.json: change it there",
        "Nothing was changed. `extproc experiment list` shows who owns what.",
    ]


def test_programs_get_the_document_of_one_and_a_list_of_several(experiment: Extproc, admin: FakeAdmin) -> None:
    one = experiment("start", "-f", "-", "-o", "json", stdin=AB)
    assert json.loads(one.out) == {**admin.document("iris-ab"), "changed": True}
    admin.files["third"] = "f.json"
    several = text(*(an_experiment(name=name) for name in ("iris-ab", "third", "other")))
    ran = experiment("start", "-f", "-", "-o", "json", stdin=several)
    assert ran.code == 1
    assert [(it["name"], it["changed"]) for it in json.loads(ran.out)["experiments"]] == [
        ("iris-ab", False),
        ("other", True),
    ]


@pytest.mark.parametrize("file", ["nowhere.json", "."])
def test_a_file_that_cant_be_read_is_a_usage_error(file: str, experiment: Extproc) -> None:
    ran = experiment("start", "-f", file)
    assert (ran.code, "Traceback" in ran.err) == (2, False)
    assert "'-f' / '--file'" in ran.err


def test_a_server_that_takes_too_long_is_given_up(extproc: Extproc) -> None:
    with RawServer(b"", drip=0.05) as server:
        ran = extproc("experiment", "start", "-f", "-", "--timeout", "0.2", "--admin", server.url, stdin=AB)
    assert ran.code == 1
    assert f"{server.url}: no answer within 0.2 s" in ran.err
    assert "Whether the change was made is not known: to run the command again is safe." in ran.err


# stop, rollback, history


def test_stop_and_stop_again_and_start_again(experiment: Extproc) -> None:
    experiment("start", "-f", "-", stdin=AB)
    assert experiment("stop", "iris-ab").out == "iris-ab: stopped (revision 2)\n  STOPPED: stopped by ada\n"
    assert experiment("stop", "iris-ab").out.startswith("iris-ab: unchanged: stopped already, at revision 2\n")
    assert experiment("start", "-f", "-", stdin=AB).out.startswith("iris-ab: updated (revision 3)\n  ACTIVE")


def test_rollback(experiment: Extproc, admin: FakeAdmin) -> None:
    experiment("start", "-f", "-", stdin=AB)
    experiment("start", "-f", "-", stdin=evenly())
    ran = experiment("rollback", "iris-ab", "1", "--why", "iris2 is slow")
    assert ran.out.startswith("iris-ab: rolled back to revision 1 (revision 3)\n  ACTIVE")
    assert admin.spec("iris-ab") == an_experiment()
    assert experiment("rollback", "iris-ab", "1").out.startswith("iris-ab: unchanged: already runs at revision 3\n")
    ran = experiment("rollback", "iris-ab", "9")
    assert ran.code == 1
    assert ran.err.startswith("extproc: unknown revision: experiment 'iris-ab' has no revision 9")


def test_history(experiment: Extproc) -> None:
    experiment("start", "-f", "-", stdin=AB)
    experiment("start", "-f", "-", "--why", "even it out", stdin=evenly())
    experiment("stop", "iris-ab", "--caller", "bob")
    assert experiment("history", "iris-ab").out.splitlines() == [
        "REV  WHEN              WHO  ACTION   CHANGE                          WHY",
        "1    2025-03-01 12:00  ada  started  iris 70, iris2 30, default",
        "                                     iris",
        "2    2025-03-01 12:01  ada  updated  iris 70→50, iris2 30→50         even it out",
        "3    2025-03-01 12:02  bob  stopped",
    ]
    assert "2025-03-01 12:01:00" in experiment("history", "iris-ab", "-o", "wide").out


# get


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_what_get_prints_can_be_given_back(output: str, experiment: Extproc, admin: FakeAdmin, tmp_path: Path) -> None:
    everything = an_experiment(
        mirror={"name": "iris3", "percent": 0.5},
        when_unavailable="REJECT",
        timeout="1.5s",
        retry={"attempts": 3, "retry_on": ["5xx"]},
    )
    experiment("start", "-f", "-", stdin=text(everything))
    file = tmp_path / f"it.{output}"
    file.write_text(experiment("get", "iris-ab", "-o", output).out)
    ran = experiment("start", "-f", file)
    assert ran.out.startswith("iris-ab: unchanged: already runs at revision 1\n"), ran
    assert admin.spec("iris-ab") == everything
    file.write_text(file.read_text().replace("30", "31"))
    assert experiment("start", "-f", file).out.startswith("iris-ab: updated (revision 2)\n")
    assert admin.spec("iris-ab")["candidates"][1]["weight"] == 31


def test_get_prints_json_by_default_and_only_the_specification(experiment: Extproc) -> None:
    experiment("start", "-f", "-", stdin=AB)
    assert json.loads(experiment("get", "iris-ab").out) == an_experiment()


def test_what_was_never_read_has_no_specification(extproc: Extproc) -> None:
    document = json.dumps(a_document(state="REJECTED", spec=None))
    with RawServer(http("200 OK", "application/json", document)) as server:
        ran = extproc("experiment", "get", "iris-ab", "--admin", server.url)
    assert ran.code == 1
    assert ran.err.startswith("extproc: iris-ab has no specification that could be read: `extproc experiment status")


# list, status


def test_list_and_status(experiment: Extproc) -> None:
    assert experiment("list").out.startswith("No experiments. Start one")
    experiment("start", "-f", "-", stdin=AB)
    assert experiment("list").out.splitlines() == [
        "NAME     STATE   SPLIT                              SOURCE",
        "iris-ab  ACTIVE  iris ███████ 70 %, iris2 ███ 30 %  api",
    ]
    status = experiment("status", "iris-ab")
    assert status.err == ""
    assert status.out.splitlines()[:4] == [
        "name        iris-ab",
        "state       ACTIVE: all candidates ready",
        "source      api, revision 1",
        "default     iris",
    ]


def test_wide_has_more_and_no_limit_of_width(experiment: Extproc) -> None:
    experiment("start", "-f", "-", stdin=text(an_experiment(mirror={"name": "iris3", "percent": 10})))
    head, line = experiment("list", "-o", "wide").out.splitlines()
    assert head.split() == ["NAME", "STATE", "SPLIT", "SOURCE", "REV", "DEFAULT", "MIRROR", "REASON"]
    assert line.endswith("api     1    iris     iris3 10 %  all candidates ready")
    started = experiment("start", "-f", "-", "-o", "wide", stdin=AB).out
    assert started.startswith("iris-ab: updated (revision 2)\nname        iris-ab\n")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command[0] not in ("start", "get", "rollback")])
def test_programs_get_the_rest_document(command: tuple[str, ...], experiment: Extproc, admin: FakeAdmin) -> None:
    experiment("start", "-f", "-", stdin=AB)
    as_json, as_yaml = (experiment(*command, "-o", output) for output in ("json", "yaml"))
    expected: dict[str, Any] = {
        "stop": {**admin.document("iris-ab"), "changed": False},
        "status": admin.document("iris-ab"),
        "list": {"experiments": [admin.document("iris-ab")], "problems": []},
        "history": {"name": "iris-ab", "revisions": admin.revisions["iris-ab"]},
    }[command[0]]
    assert (as_json.code, as_yaml.code) == (0, 0)
    assert documents(as_yaml.out) == [expected]
    if command[0] != "stop":  # only the first of the two changed something
        assert json.loads(as_json.out) == expected


def test_waiting_tells_each_change_and_shows_the_status_when_it_is_reached(
    experiment: Extproc, admin: FakeAdmin
) -> None:
    experiment("start", "-f", "-", stdin=AB)
    admin.then("iris-ab", PENDING, PENDING, ("DEGRADED", "running without iris2"), ("ACTIVE", "all candidates ready"))
    ran = experiment("status", "iris-ab", "-w")
    assert ran.code == 0
    told = [line.split(" ", 1)[1] for line in ran.err.splitlines()]
    assert told == [f"PENDING: {PENDING[1]}", "DEGRADED: running without iris2"]
    assert "state       ACTIVE: all candidates ready" in ran.out


def test_waiting_for_another_state_for_a_program(experiment: Extproc, admin: FakeAdmin) -> None:
    experiment("start", "-f", "-", stdin=AB)
    admin.then("iris-ab", ("ACTIVE", "all is well"), ("DEGRADED", "running without iris2"))
    ran = experiment("status", "iris-ab", "--for", "degraded", "-o", "json")
    assert json.loads(ran.out)["state"] == "DEGRADED"
    assert ran.err.endswith(" ACTIVE: all is well\n")


def test_waiting_ends_with_the_reason(experiment: Extproc, admin: FakeAdmin) -> None:
    experiment("start", "-f", "-", stdin=AB)
    admin.then("iris-ab", PENDING)
    ran = experiment("status", "iris-ab", "-w", "--timeout", "0.3")
    assert (ran.code, ran.out) == (1, "")
    last = ran.err.splitlines()[1:]
    assert last[0] == f"extproc: iris-ab is not ACTIVE after 0.3 s: PENDING: {PENDING[1]}"
    assert "Wait longer with --timeout" in last[1]


def test_waiting_for_what_nobody_knows_ends_at_once(experiment: Extproc) -> None:
    ran = experiment("status", "iris", "-w")
    assert ran.code == 1
    assert ran.err == "extproc: unknown experiment: no experiment is called 'iris': did you mean iris-ab?\n"


# what can go wrong, for every command


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_nobody_listens(command: tuple[str, ...], extproc: Extproc) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ran = extproc("experiment", *command, "--admin", url, stdin=AB)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"extproc: {url}: connection refused\nIs extproc running there?")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
@pytest.mark.parametrize("status", [404, 409, 412, 413, 422, 500, 503, 504, 507])
def test_a_refusal_is_told(command: tuple[str, ...], status: int, experiment: Extproc, admin: FakeAdmin) -> None:
    admin.refuse(status, "no", "for this reason")
    ran = experiment(*command, stdin=AB)
    assert (ran.code, ran.out) == (1, "")
    assert "no: for this reason" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        http("200 OK", "text/html", "<html>"),
        http("200 OK", "application/json", "{}"),
        http("200 OK", "application/json", '{"experiments": [{}], "revisions": [{}], "spec": 5, "name": []}'),
        http("200 OK", "application/json", json.dumps({**a_document(), **a_history(), **a_list(), "name": 5, "spec": 5,
             "experiments": [5], "revisions": [5]})),
        http("500 Oops", "text/plain", "Traceback (most recent call last)"),
        http("500 Oops", "application/problem+json", "{}"),
    ],
    ids=["silence", "ssh", "html", "empty", "misfit", "wrong types", "500", "500 with a problem"],
)  # fmt: skip
def test_garbage_is_told_as_such(command: tuple[str, ...], reply: bytes, extproc: Extproc) -> None:
    with RawServer(reply) as server:
        ran = extproc("experiment", *command, "--admin", server.url, stdin=AB)
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith(("extproc: ", "Usage"))
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
@pytest.mark.parametrize("url", ["127.0.0.1:8080", "http://user:secret@h", "http://h:x", "ftp://h"])
def test_an_address_that_is_none_is_a_usage_error(command: tuple[str, ...], url: str, extproc: Extproc) -> None:
    ran = extproc("experiment", *command, "--admin", url, stdin=AB)
    assert ran.code == 2
    assert "is no address: write it like http://127.0.0.1:8080" in " ".join(ran.err.split())


def test_the_address_may_stand_in_the_environment(
    extproc: Extproc, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTPROC_ADMIN", admin.url)
    assert extproc("experiment", "list").code == 0
    assert admin.requests == ["GET /api/v1/experiments"]


@pytest.mark.parametrize(
    "words",
    [
        ("start",),
        ("status",),
        ("status", ".."),
        ("status", ""),
        ("status", "x", "--for", "HAPPY"),
        ("status", "x", "--timeout", "nan"),
        ("status", "x", "--timeout", "-1"),
        ("start", "-f", "-", "--timeout", "0"),
        ("start", "-f", "-", "--if-match", "-1"),
        ("rollback", "x"),
        ("rollback", "x", "0"),
        ("rollback", "x", "first"),
        ("get", "x", "-o", "wide"),
        ("list", "-o", "xml"),
        ("begin",),
    ],
)
def test_usage_errors_ask_nobody(words: tuple[str, ...], experiment: Extproc, admin: FakeAdmin) -> None:
    ran = experiment(*words, stdin=AB)
    assert (ran.code, ran.out) == (2, "")
    assert admin.requests == []


def test_bytes_of_the_command_line_that_are_no_text(experiment: Extproc, admin: FakeAdmin) -> None:
    assert experiment("start", "-f", "-", "--why", "a\udcffb", stdin=AB).code == 0
    assert admin.revisions["iris-ab"][0]["why"] == "a?b"
    assert experiment("status", "a\udcffb").code == 1


def test_a_stream_of_another_encoding_gets_all_it_can_show(
    experiment: Extproc, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    admin.then("iris-ab", ("PENDING", "waiting for größer → 日"))
    with (tmp_path / "out").open("w", encoding="latin-1") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert experiment("start", "-f", "-", stdin=AB).code == 0
        assert experiment("list").code == 0
    written = (tmp_path / "out").read_text(encoding="latin-1")
    assert "  PENDING: waiting for größer > ?\n" in written
    assert "iris ####### 70 %, iris2 ### 30 %" in written


@pytest.mark.parametrize(
    ("arguments", "path"), [(("stop", "iris-ab"), "iris-ab?"), (("rollback", "iris-ab", "1"), "iris-ab/rollback?")]
)
def test_every_change_can_return_before_envoy_runs_it(
    experiment: Extproc, admin: FakeAdmin, arguments: tuple[str, ...], path: str
) -> None:
    experiment("start", "-f", "-", stdin=AB)
    experiment("start", "-f", "-", stdin=evenly())
    experiment(*arguments, "--no-wait")
    assert path in admin.requests[-1]
    assert "wait=false" in admin.requests[-1]
