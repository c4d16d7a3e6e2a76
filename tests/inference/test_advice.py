"""Every failure says what to do next."""

import pytest

from extproc.inference.advice import explain
from extproc.inference.call import Answer, Call

CALL = Call("http://127.0.0.1:9000", "iris", b"{}")
ADMIN = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer("refused", False, 0, reached=False, detail="Connection refused"), "is `extproc up` running?"),
        (Answer("UNAVAILABLE", False, 0, reached=False), "is `extproc up` running?"),
        (Answer("unresolved", False, 0, reached=False), "check the host's name"),
        (Answer("tls", False, 0, reached=False), "http:// or https://"),
        (Answer("timeout", False, 30), "--timeout"),
        (Answer("DEADLINE_EXCEEDED", False, 30), "--timeout"),
        (Answer("disconnected", False, 0), "look at the log of Envoy"),
        (Answer("404", False, 0), "nothing is called iris there: `extproc experiment list`"),
        (Answer("UNIMPLEMENTED", False, 0), "nothing is called iris there, or not over gRPC"),
        (Answer("404", False, 0, ":iris_1:"), "served_name"),
        (Answer("NOT_FOUND", False, 0, ":iris_1:"), "model_name"),
        (Answer("400", False, 0, ":iris_1:"), "give another with -f FILE"),
        (Answer("500", False, 0, ":iris_1:"), "log of the model server"),
        (Answer("503", False, 0, ":iris_1:"), "whose model server is not ready"),
        (Answer("503", False, 0), "whose model server is not ready"),
        (Answer("418", False, 0), "look at the log"),
    ],
)
def test_a_failure_says_what_it_is_who_it_is_from_and_what_to_do(answer: Answer, says: str) -> None:
    told = explain(answer, CALL, ADMIN)
    assert says in told
    assert CALL.url in told
    assert answer.route in told
    assert answer.code in told or not answer.reached
    assert "{" not in told


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b'{"error": "no model iris"}', "(no model iris)"),
        (b"upstream connect\r\n error", "(upstream connect error)"),
        (b'{"detail": 5}', ""),
        (b"[1]", ""),
        (b"\xff", "(\ufffd)"),
        (b"x" * 1000, f"({'x' * 300}…)"),
        (b'{"error": "{url}"}', "({url})"),
    ],
)
def test_the_answer_s_own_words_are_quoted(body: bytes, quoted: str) -> None:
    told = explain(Answer("400", False, 0, ":iris_1:", body=body), CALL, ADMIN)
    assert told.startswith(f"400 from {CALL.url}, route :iris_1: {quoted}".rstrip() + ": the body is not")
