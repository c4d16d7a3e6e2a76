"""The Lua that renames models in gRPC messages, held against protobuf's own classes of the protocol, in LuaJIT."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import inf
from struct import Struct
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime
from tritonclient.grpc import service_pb2 as pb

from extproc.xds.v2_bodies import source

PREFIX: Final = Struct(">BI")
EXPORTED: Final = """
return {
  request = function(served, found, pieces)
    return fed(passing(request_editor(served, found), math.huge), pieces)
  end,
  answer = function(path, served, called, pieces, most)
    local tags = {}
    for index = 1, #path do tags[index] = byte(path, index) end
    return fed(passing(answer_editor(tags, served, called), most), pieces)
  end,
}
"""
# As the filter does it: a piece that need not be seen passes.
FED: Final = """
local function fed(body, pieces)
  local out = {}
  for index = 1, #pieces do
    local piece = pieces[index]
    out[index] = piece
    if #piece > 0 and not body.unseen(#piece) then
      out[index] = body.feed(piece) or piece
    end
  end
  return table.concat(out)
end
"""

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~é€😀", min_size=1, max_size=255)
SERVED = st.from_regex(r"[A-Za-z0-9._~-]{1,255}", fullmatch=True)


def tensors(message: Any) -> Any:
    message.inputs.add(name="x", datatype="FP32", shape=[1, 4]).parameters["p"].bool_param = True
    message.inputs[0].contents.fp32_contents.extend([1, 2, 3, 4])
    return message


def infer(name: str, rest: bytes) -> Any:
    return tensors(pb.ModelInferRequest(model_name=name, model_version="1", id="é", raw_input_contents=[rest]))


@pytest.fixture(scope="module")
def lua() -> Any:
    runtime = LuaRuntime(encoding=None)
    return runtime, runtime.execute((source("v2_messages.lua") + FED + EXPORTED).encode())


Rename = Callable[..., bytes]


@pytest.fixture(scope="module")
def renamed(lua: Any) -> Rename:
    """A request's body for the model that is served so, in these pieces; `found` gets the names that it had."""
    runtime, exported = lua

    def rename(served: str, pieces: list[bytes], found: list[bytes] | None = None) -> bytes:
        note = (lambda _: None) if found is None else found.append
        return bytes(exported[b"request"](served.encode(), note, runtime.table_from(pieces)))

    return rename


@pytest.fixture(scope="module")
def called(lua: Any) -> Rename:
    """An answer's body as the client has called the model; `path` are the tags around the name."""
    runtime, exported = lua

    def rename(path: bytes, served: str, name: str, pieces: list[bytes], most: float = inf) -> bytes:
        return bytes(exported[b"answer"](path, served.encode(), name.encode(), runtime.table_from(pieces), most))

    return rename


def framed(*messages: Any, flags: int = 0) -> bytes:
    bodies = [m if isinstance(m, bytes) else m.SerializeToString() for m in messages]
    return b"".join(PREFIX.pack(flags, len(body)) + body for body in bodies)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """The body in pieces that end at these places."""
    ends = sorted({min(place, len(body)) for place in places} | {0, len(body)})
    return [body[begin:end] for begin, end in pairwise(ends)]


CUTS = st.lists(st.integers(0, 600), max_size=12)


@given(NAMES, SERVED, st.binary(max_size=300), CUTS)
@example("a", "b" * 255, b"", list(range(600)))
def test_a_renamed_request_is_the_one_that_protobuf_would_write(
    renamed: Rename, name: str, served: str, rest: bytes, cuts: list[int]
) -> None:
    wanted = infer(name, rest)
    body = framed(wanted)
    wanted.model_name = served
    found: list[bytes] = []
    assert renamed(served, cut(body, cuts), found) == framed(wanted)
    assert found == [name.encode()]


@given(st.lists(st.tuples(NAMES, st.binary(max_size=100)), min_size=1, max_size=5), SERVED, CUTS)
def test_of_a_stream_every_message_is_renamed(
    renamed: Rename, sent: list[tuple[str, bytes]], served: str, cuts: list[int]
) -> None:
    messages = [infer(name, rest) for name, rest in sent]
    body = framed(*messages)
    for message in messages:
        message.model_name = served
    assert renamed(served, cut(body, cuts)) == framed(*messages)


@given(st.sampled_from([pb.ModelReadyRequest, pb.ModelMetadataRequest, pb.ModelConfigRequest]), NAMES, SERVED)
def test_the_requests_about_a_model_are_renamed(renamed: Rename, kind: Any, name: str, served: str) -> None:
    assert renamed(served, [framed(kind(name=name, version="2"))]) == framed(kind(name=served, version="2"))


def field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2, len(value))) + value


@pytest.mark.parametrize(
    "message",
    [b"", field(3, b"id"), field(3, b"id") + field(1, b"other"), field(3, b"id") + field(1, b"a") + field(1, b"b")],
    ids=["empty", "unnamed", "late", "late and twice"],
)
def test_a_message_that_does_not_begin_with_its_name_is_still_read_under_the_new_one(
    renamed: Rename, message: bytes
) -> None:
    for pieces in ([framed(message)], [bytes((b,)) for b in framed(message)]):
        body = renamed("served", pieces)
        flags, length = PREFIX.unpack_from(body)
        assert (flags, length) == (0, len(body) - PREFIX.size)
        read = pb.ModelInferRequest.FromString(body[PREFIX.size :])
        assert read.model_name == "served"
        assert read.id == pb.ModelInferRequest.FromString(message).id


AS_IT_IS = {
    "nothing": b"",
    "less than a prefix": b"\0\0\0",
    "compressed": framed(infer("iris", b"x"), flags=1),
    "unknown flags": framed(infer("iris", b"x"), flags=7),
    "a name beyond its message": framed(b"\x0a\x20iris"),
    "a name without a length": framed(b"\x0a"),
    "a name whose length never ends": framed(b"\x0a" + b"\xff" * 20),
    "a name of more than is looked at": framed(pb.ModelInferRequest(model_name="x" * 3000)),
}


def test_a_name_that_is_longer_than_any_passes(renamed: Rename) -> None:
    body = AS_IT_IS["a name of more than is looked at"]
    assert renamed("served", [body]) == body


@pytest.mark.parametrize("what", ["nothing", "less than a prefix", "compressed", "unknown flags"])
def test_what_is_no_plain_message_passes(renamed: Rename, what: str) -> None:
    body = AS_IT_IS[what]
    whole = renamed("served", [body])
    assert whole == (body if len(body) >= PREFIX.size else b""), "an end without its beginning is held back for more"


@given(st.binary(max_size=400), CUTS)
def test_whatever_the_bytes_are_nothing_is_raised_and_no_message_changes_its_end(
    renamed: Rename, called: Rename, body: bytes, cuts: list[int]
) -> None:
    pieces = cut(body, cuts)
    assert renamed("served", pieces) == renamed("served", [body])
    for path in (b"", b"\x0a", b"\x12"):
        assert called(path, "served", "iris", pieces) == called(path, "served", "iris", [body])
        if b"served" not in body:
            said = called(path, "served", "iris", pieces)
            assert body.startswith(said), "what does not say the name passes, but for an end that waits for more"


def answers(name: str, rest: bytes) -> Iterator[tuple[bytes, Any]]:
    """Each answer that names a model: the path to the name, and the message."""
    answer = pb.ModelInferResponse(model_name=name, model_version="1", id="é", raw_output_contents=[rest])
    yield b"", answer
    yield b"", pb.ModelMetadataResponse(name=name, versions=["1", name], platform=name)
    yield b"\x12", pb.ModelStreamInferResponse(infer_response=answer)
    config = pb.ModelConfigResponse()
    config.config.name = name
    config.config.platform = name
    yield b"\x0a", config


@given(SERVED, NAMES, st.binary(max_size=300), CUTS)
@example("s" * 255, "c", b"r" * 200, [])
@example("s", "c" * 255, b"r" * 127, list(range(600)))
def test_an_answer_calls_the_model_as_the_client_did(
    called: Rename, served: str, name: str, rest: bytes, cuts: list[int]
) -> None:
    for path, answer in answers(served, rest):
        wanted = type(answer).FromString(answer.SerializeToString())
        inner = wanted
        for attribute in {b"": (), b"\x12": ("infer_response",), b"\x0a": ("config",)}[path]:
            inner = getattr(inner, attribute)
        setattr(inner, "name" if hasattr(inner, "name") else "model_name", name)
        assert called(path, served, name, cut(framed(answer), cuts)) == framed(wanted)


@given(SERVED, NAMES, CUTS)
def test_an_answer_of_a_stream_may_stand_bare(called: Rename, served: str, name: str, cuts: list[int]) -> None:
    """As MLServer sends it: the protocol has ModelStreamInferResponse around it."""
    sent = framed(pb.ModelInferResponse(model_name=served, model_version="1"), pb.ModelInferResponse(model_name="b"))
    wanted = framed(pb.ModelInferResponse(model_name=name, model_version="1"), pb.ModelInferResponse(model_name="b"))
    assert called(b"\x12", served, name, cut(sent, cuts)) == wanted


@given(st.binary(max_size=20), CUTS)
def test_what_comes_after_the_one_answer_passes(called: Rename, rest: bytes, cuts: list[int]) -> None:
    sent = framed(pb.ModelInferResponse(model_name="served")) + rest
    wanted = framed(pb.ModelInferResponse(model_name="iris")) + rest
    assert called(b"", "served", "iris", cut(sent, cuts), 1) == wanted


@pytest.mark.parametrize(
    "answer",
    [
        pb.ModelReadyResponse(ready=True),
        pb.ModelInferResponse(model_name="another"),
        pb.ModelInferResponse(id="served"),
        pb.ModelStreamInferResponse(error_message="served"),
    ],
    ids=["no name", "another model's", "the name elsewhere", "an error"],
)
def test_an_answer_that_does_not_name_the_model_passes(called: Rename, answer: Any) -> None:
    path = b"\x12" if isinstance(answer, pb.ModelStreamInferResponse) else b""
    assert called(path, "served", "iris", [framed(answer)]) == framed(answer)
