"""What is answered at once is what an ext_proc stream would have answered, by the table of that moment."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from random import Random
from typing import Final
from unittest.mock import patch

import pytest

from extproc.core.compilation import compile_table
from extproc.core.decide import chances
from extproc.core.resources import Candidate, Endpoint, Experiment, Model
from extproc.core.table import Patch, Table
from extproc.http2.grpc_status import REPLY_MAX, whole_answer
from extproc.names import EXT_PROC_FILTER, UNIT_COOKIE_ATTRIBUTE, decided_route
from extproc.server.at_once import AtOnce, Known
from extproc.server.ext_proc import ExtProc, Ledger
from extproc.wire.ext_proc import Published
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb
from tests.http2.given import message

CAPTURED: Final = sorted((Path(__file__).parents[1] / "fixtures" / "ext_proc").glob("*.bin"))
REQUESTS: Final = {path.stem: path.read_bytes() for path in CAPTURED}
PLAIN: Final = REQUESTS["intercepted-no-token"]


def table(iris: int, iris2: int, name: str = "iris-ab") -> Table:
    trial = Experiment(name, (Candidate("iris", iris), Candidate("iris2", iris2)), "iris")
    models = {c.name: Model(c.name, endpoints=(Endpoint("127.0.0.1", 8081),)) for c in trial.candidates}
    accepted = {decided_route(name, c.name, "http") for c in trial.candidates}
    return compile_table([trial], models, lambda _model, _protocol: True, accepted)


def draws(service: ExtProc) -> ExtProc:
    return ExtProc(service.published, draw=partial(Random(1).getrandbits, 64))


@pytest.mark.parametrize("name", REQUESTS)
def test_it_answers_as_a_stream_does_or_leaves_it_to_one(name: str) -> None:
    service, ledger, usual = ExtProc(Published(table(70, 30))), Ledger(), Ledger()
    at_once = AtOnce(draws(service), Known(), ledger)
    asked = draws(service)
    for _ in range(50):
        reply, ends = asked.open((), usual).answer(REQUESTS[name])
        pieces = at_once.answer(message(REQUESTS[name]))
        assert pieces == (whole_answer(reply) if reply is not None and ends else None)
    assert ledger.decisions == (usual.decisions if pieces else [])
    assert len(ledger.decisions) == (50 if name.startswith("intercepted") else 0)


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\0\0", b"\0\0\0\0\1", message(b"\xff"), message(PLAIN, 1), message(PLAIN) * 2]
)
def test_what_is_no_message_is_left_to_others(body: bytes) -> None:
    assert AtOnce(ExtProc(Published(table(70, 30))), Known(), Ledger()).answer(body) is None


def test_what_it_knows_follows_the_table() -> None:
    service, ledger = ExtProc(Published(table(100, 0))), Ledger()
    at_once = AtOnce(service, Known(), ledger)

    def candidate() -> str:
        at_once.answer(message(PLAIN))
        return ledger.decisions[-1].candidate

    assert candidate() == "iris"
    entries = table(0, 100).entries
    service.publish(service.published.patched(Patch(entries)))
    assert candidate() == "iris2"
    service.publish(service.published.patched(Patch(table(1, 1, "another").entries)))
    assert candidate() == "iris2"
    service.publish(service.published.patched(Patch({}, tuple(entries))))
    assert candidate() == ""
    service.publish(Published(table(100, 0)))
    assert candidate() == "iris"


def test_of_a_change_of_many_only_what_is_asked_for_is_worked_out() -> None:
    """Else the request that comes next would wait until all of them were."""

    def tables(names: Iterable[str], iris: int, iris2: int) -> Table:
        return Table({key: entry for name in names for key, entry in table(iris, iris2, name).entries.items()})

    bodies = {name: message(PLAIN.replace(b"iris-ab", name.encode())) for name in (f"iri{n:04}" for n in range(50))}
    service, ledger = ExtProc(Published(tables(bodies, 100, 0))), Ledger()
    at_once = AtOnce(service, Known(), ledger)
    for body in bodies.values():
        assert at_once.answer(body)
    service.publish(Published(tables(bodies, 0, 100)))
    with patch("extproc.server.at_once.chances", side_effect=chances) as worked_out:
        assert at_once.answer(bodies["iri0007"])
        assert at_once.answer(bodies["iri0007"])
    assert worked_out.call_count == 1
    assert [(d.experiment, d.candidate) for d in ledger.decisions[50:]] == [("iri0007", "iris2")] * 2


def test_answers_that_are_too_long_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    service, ledger = ExtProc(Published(table(70, 30))), Ledger()
    at_once = AtOnce(service, Known(), ledger)
    longest = max(map(len, service.published.replies.values())) + 5
    monkeypatch.setattr("extproc.server.at_once.REPLY_MAX", longest - 1)
    assert longest < REPLY_MAX
    assert at_once.answer(message(PLAIN)) is None
    assert at_once.answer(message(PLAIN)) is None
    assert not ledger.decisions
    monkeypatch.setattr("extproc.server.at_once.REPLY_MAX", longest)
    service.publish(service.published.patched(Patch(table(100, 0).entries)))
    assert at_once.answer(message(PLAIN))


def test_what_it_knows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.server.at_once._KNOWN", 10)
    known, service = Known(), ExtProc(Published(table(70, 30)))
    at_once = AtOnce(service, known, Ledger())
    assert b"iris-ab/" in PLAIN
    for n in range(100):
        assert at_once.answer(message(PLAIN.replace(b"iris-ab", b"iri%04d" % n)))
        assert len(known.chances) <= 10
        assert len(known._of) <= 10
    assert len(known.chances) == 10
    service.publish(Published(table(70, 30, "iri0099")))
    assert at_once.answer(message(PLAIN.replace(b"iris-ab", b"iri0099")))
    assert len(known.chances) == 10, "what is known needs no new place"


def test_what_clients_say_takes_no_route_s_place() -> None:
    known = Known()
    at_once = AtOnce(ExtProc(Published(table(70, 30))), known, Ledger())
    at_once.answer(message(PLAIN))
    with_token = next(
        body for name, body in REQUESTS.items() if b":iris2_1:" in body and name.startswith("intercepted")
    )
    for n in range(20):
        assert at_once.answer(message(with_token.replace(b":iris2_1:", b":iri%d_1:" % (10 + n))))
    request = pb.ProcessingRequest.FromString(PLAIN)
    for n in range(20):  # of an experiment that assigns units, sent by who has none
        request.attributes[EXT_PROC_FILTER].fields[f"{UNIT_COOKIE_ATTRIBUTE}user"].string_value = b"other=%d" % n
        assert at_once.answer(message(request.SerializeToString()))
    assert [*known.chances] == [message(PLAIN)]


def test_of_traced_requests_it_takes_those_that_begin_no_span() -> None:
    def begin(_: object) -> None:
        return None

    assert AtOnce(ExtProc(), Known(), Ledger()).values("traceparent", ()) is not None
    assert AtOnce(ExtProc(begin=begin), Known(), Ledger()).values("traceparent", ()) is None
    asked = AtOnce(ExtProc(begin=begin, untraced=lambda name, _: lambda _: name), Known(), Ledger()).values("x", ())
    assert asked is not None
    assert asked(b"") == "x"
