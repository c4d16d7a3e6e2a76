"""Which bodies count while Envoy holds them, which are turned away, and that nothing counts for longer than it is held.

The filter's own script runs here, with requests that come piece by piece.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from lupa.luajit21 import LuaRuntime

from extproc.xds import json_bodies
from extproc.xds.memory import SHARE, gate
from extproc.xds.world import Options

MIB: Final = 1024 * 1024
BUDGET: Final = 16 * MIB
STREAM: Final = "/inference.GRPCInferenceService/ModelStreamInfer"
CALL: Final = "/inference.GRPCInferenceService/ModelInfer"

# What Envoy makes of a request for a script: one that ends with its pieces, which `next` gives it one by one.
ENVOY: Final = """
function request(headers)
  local this = {}
  local handle = {}
  function handle.headers() return { get = function(_, name) return headers[name] end } end
  function handle.respond(_, answer) this.answer = answer[":status"] .. (answer["grpc-status"] or "") end
  function handle.bodyChunks() return function() return coroutine.yield() end end
  local run = coroutine.create(envoy_on_request)
  assert(coroutine.resume(run, handle))
  handle = nil
  this.piece = function(length)
    if coroutine.status(run) == "suspended" then
      assert(coroutine.resume(run, length and { length = function() return length end }))
    end
  end
  this.gone = function() run = coroutine.create(print) end
  return this
end
"""


@dataclass
class Gate:
    """One thread's filter."""

    lua: LuaRuntime = field(default_factory=LuaRuntime)

    def __post_init__(self) -> None:
        (filter_,) = gate(Options(heap_limit=BUDGET * SHARE, envoy_threads=1))
        self.lua.execute(filter_["typed_config"]["default_source_code"]["inline_string"])
        self.lua.execute(ENVOY)

    def request(self, length: int | None = None, headers: Mapping[str, str] | None = None) -> Any:
        given = {":method": "POST", ":path": "/v1/chat/completions", **(headers or {})}
        if length is not None:
            given["content-length"] = str(length)
        return self.lua.globals().request(self.lua.table_from(given))

    def grpc(self, path: str) -> Any:
        return self.request(headers={":path": path, "content-type": "application/grpc+proto"})

    @property
    def is_full(self) -> bool:
        """Whether the next one whose length is not told is turned away."""
        probe = self.grpc(CALL)
        probe.gone()
        return bool(probe.answer == "20014")


@pytest.fixture
def one() -> Gate:
    return Gate()


def test_without_a_limit_there_is_none() -> None:
    assert gate(Options()) == []


def test_what_does_not_fit_beside_others_is_told_to_come_again_until_they_are_gone(one: Gate) -> None:
    first = one.request(12 * MIB)
    assert one.request(12 * MIB).answer == "503"
    assert one.request(4 * MIB).answer is None
    first.gone()
    assert one.request(12 * MIB).answer is None


def test_one_is_always_taken(one: Gate) -> None:
    upload = one.request(60 * MIB)
    assert upload.answer is None
    assert one.is_full


@pytest.mark.parametrize("length", [None, 10 * json_bodies.LIMIT])
def test_what_is_not_told_or_too_much_is_counted_as_it_comes(one: Gate, length: int | None) -> None:
    upload = one.request(length)
    upload.piece(BUDGET)
    assert not one.is_full
    upload.piece(1)
    assert one.is_full
    upload.piece(json_bodies.LIMIT)
    assert not one.is_full, "nobody holds so much of one body: it passes"
    upload.piece(BUDGET)
    upload.piece(None)
    assert not one.is_full


@pytest.mark.parametrize("path", [STREAM, "/own.Service/Talk"])
def test_a_stream_of_messages_passes_and_keeps_nobody_out_however_long_it_lasts(one: Gate, path: str) -> None:
    stream = one.grpc(path)
    for _ in range(5):
        stream.piece(BUDGET)
    assert not one.is_full
    call = one.grpc(CALL)
    call.piece(BUDGET + 1)
    assert one.is_full
    assert one.grpc(path).answer is None


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_what_has_no_body_or_is_a_tunnel_is_neither_counted_nor_turned_away(one: Gate, method: str) -> None:
    tunnel = one.request(headers={":method": method})
    tunnel.piece(BUDGET + 1)
    assert not one.is_full
    upload = one.request(60 * MIB)
    assert one.request(headers={":method": method}).answer is None
    upload.gone()
