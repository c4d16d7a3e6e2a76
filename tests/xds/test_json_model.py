"""The script that finds a model's name in a JSON body, on the LuaJIT that Envoy has, against Python's JSON parser."""

import json
import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lupa.luajit21 import LuaRuntime

from extproc import names
from extproc.xds import json_bodies
from extproc.xds.lua_filters import source

Place = tuple[int, int] | str  # of the name's bytes, from the first to after the last; or what is in the way


@pytest.fixture(scope="module")
def place() -> Callable[[bytes], Place]:
    lua = LuaRuntime(encoding=None)
    script = source(json_bodies.CONSTANTS, "json_model.lua").encode()
    find = lua.execute(script + b"\nreturn place_of_model")

    def found(body: bytes) -> Place:
        first, last = find(body)
        return (first - 1, last) if first else last.decode()

    return found


@pytest.fixture(scope="module")
def said() -> Callable[[bytes], bytes]:
    script = source(json_bodies.CONSTANTS, "json_model.lua").encode()
    say: Callable[[bytes], bytes] = LuaRuntime(encoding=None).execute(script + b"\nreturn said")
    return say


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=12,
)
MEMBERS = st.lists(
    st.tuples(st.text(max_size=8) | st.sampled_from(["models", "Model", "mode", '"model', "m\\odel"]), VALUES)
)


def written(value: Any, chance: random.Random) -> str:
    """JSON as anybody might write it: white space anywhere, any character of a string as an escape."""

    def space() -> str:
        return "".join(chance.choices(" \t\n\r", k=chance.randrange(3))) if chance.random() < 0.3 else ""

    def text(of: str) -> str:
        plain = json.dumps(of, ensure_ascii=chance.random() < 0.5)[1:-1]
        if chance.random() < 0.8:
            return f'"{plain}"'
        return '"' + "".join(json.dumps(c)[1:-1] if ord(c) > 0xFFFF else f"\\u{ord(c):04x}" for c in of) + '"'

    def one(value: Any) -> str:
        if isinstance(value, str):
            inside = text(value)
        elif isinstance(value, list):
            inside = "[" + space() + ",".join(one(item) for item in value) + "]"
        elif isinstance(value, Members):
            inside = "{" + space() + ",".join(f"{space()}{text(k)}{space()}:{one(v)}" for k, v in value.pairs) + "}"
        elif isinstance(value, dict):
            inside = one(Members(list(value.items())))
        else:
            inside = json.dumps(value)
        return space() + inside + space()

    return one(value)


class Members:
    """An object by its members, in order."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


@given(
    members=MEMBERS, at=st.integers(0), name=st.text(min_size=1, max_size=30), chance=st.randoms(use_true_random=False)
)
@settings(max_examples=150)
def test_in_any_json_object_the_name_alone_is_replaced(
    place: Callable[[bytes], Place],
    said: Callable[[bytes], bytes],
    members: list[tuple[str, Any]],
    at: int,
    name: str,
    chance: random.Random,
) -> None:
    pairs = list(dict(members).items())
    pairs.insert(at % (len(pairs) + 1), ("model", name))
    body = written(Members(pairs), chance).encode()
    found = place(body)
    assert isinstance(found, tuple), f"{found} in {body!r}"
    first, after = found
    assert body[first - 1 : first] == body[after : after + 1] == b'"'
    assert json.loads(body[first - 1 : after + 1]) == name
    renamed = body[:first] + b"meta/Llama:8b" + body[after:]
    # Members in order, so that nothing can hide behind a key that is there twice.
    assert json.loads(renamed, object_pairs_hook=list) == [
        ("model", "meta/Llama:8b") if key == "model" else (key, value)
        for key, value in json.loads(body, object_pairs_hook=list)
    ]
    if name.isascii():
        assert said(body[first:after]) == name.encode()


@given(members=MEMBERS, chance=st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_a_name_further_in_is_none(
    place: Callable[[bytes], Place], members: list[tuple[str, Any]], chance: random.Random
) -> None:
    inside = {"deep": {"model": "iris"}, "list": [{"model": "iris"}], '{"model":"iris"}': '"model":"iris"'}
    body = written(Members([*(pair for pair in members if pair[0] != "model"), *inside.items()]), chance).encode()
    assert place(body) == "missing"


@given(st.binary() | st.text(alphabet='{}[]":,\\model1 \n', max_size=40).map(str.encode))
@example(b'{"model":"a"')
@example(b'{"model":"a\\')
@example(b'{"model"')
@example(b"\xef\xbb\xbf")
@settings(max_examples=300)
def test_whatever_the_bytes_are_there_is_an_answer(place: Callable[[bytes], Place], body: bytes) -> None:
    found = place(body)
    if isinstance(found, str):
        assert found in {"malformed", "missing", "not-text", "twice", "many"}
        try:
            value = json.loads(body, object_pairs_hook=Members)
        except (ValueError, RecursionError):
            return
        assert found != "malformed" or not isinstance(value, Members), body
    else:
        assert re.search(rb'"\s*:\s*"$', body[: found[0]])
        assert body[found[1] : found[1] + 1] == b'"'


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"", "malformed"),
        (b"null", "malformed"),
        (b'"model"', "malformed"),
        (b'["model"]', "malformed"),
        (b"{}", "missing"),
        (b'{"a": 1}', "missing"),
        (b'{"model": ""}', "missing"),
        (b'{"model": null}', "not-text"),
        (b'{"model": 1}', "not-text"),
        (b'{"model": {"model": "a"}}', "not-text"),
        (b'{"model": ["a"]}', "not-text"),
        (b'{"model": "a", "model": "b"}', "twice"),
        (b'{"model": 1, "model": "b"}', "twice"),
        (b'{"model": "a", "\\u006dodel": "b"}', "twice"),
        (b'{"model": "a"' + b',"b":0' * 999 + b"}", (11, 12)),
        (b'{"model": "a"' + b',"b":0' * 1000 + b"}", "many"),
        (b'{"model": "a"} x', "malformed"),
        (b'{"model": "a",}', "malformed"),
        (b'{"model": "a" "b": 1}', "malformed"),
        (b'{"model" "a"}', "malformed"),
        (b'{"model": "a"', "malformed"),
        (b'{"a": [1, "model": "b"}', "malformed"),
        (b'{model: "a"}', "malformed"),
        (b"{'model': 'a'}", "malformed"),
        ('{"model": "iris"}'.encode("utf-16"), "malformed"),
        ('{"model": "iris"}'.encode("utf-32-le"), "malformed"),
        (b'{"model": "a", "x": ' + b"[" * 1_000_000, "malformed"),
        # Not judged: it can't be misread, and the model server says what it thinks of it.
        (b'{"a": [nope], "model": "b", "n": 1e999}', (24, 25)),
        (b'\xef\xbb\xbf{"model": "b"}', (14, 15)),
        (b'{"x": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b', "model": "b"}', (2_000_018, 2_000_019)),
        (b'{"x": "' + b"\\" * 1_000_000 + b'", "model": "b"}', (1_000_020, 1_000_021)),
        (b'{"x": "' + b"\xff\x00\n" + b'", "model": "\xe9"}', (23, 24)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_cases(place: Callable[[bytes], Place], body: bytes, answer: Place) -> None:
    assert place(body) == answer


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"iris", b"iris"),
        (rb"\u0069\u0072is", b"iris"),
        (rb"a\/b\\u0069\"", rb'a/b\u0069"'),
        (rb"\n12", b"\n12"),
        (rb"\u00e9\u00", b"\xff\xff"),
    ],
)
def test_what_a_string_says(said: Callable[[bytes], bytes], text: bytes, name: bytes) -> None:
    assert said(text) == name


# Bodies that are dear to a reader that does more for some bytes than for others.
HOSTILE = {
    "members": (b"{", b'"":0,', b'"x":0}', "many"),
    "keys with escapes": (b"{", rb'"\n\n\n\n":0,', b'"x":0}', "many"),
    "keys that are nearly it": (b"{", rb'"\u006d\u006f\u0064\u0065":0,', b'"x":0}', "many"),
    "space": (b"{", b" ", b'"x":0}', "missing"),
    "quotes": (b'{"x":"', rb"\"", b'"}', "missing"),
    "texts": (b'{"x":[', b'"",', b"0]}", "missing"),
}
SIZE = 1_000_000  # bytes


def seconds(find: Callable[[bytes], object], body: bytes) -> float:
    def once() -> float:
        began = time.perf_counter()
        find(body)
        return time.perf_counter() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize(("begin", "unit", "end", "answer"), HOSTILE.values(), ids=HOSTILE)
def test_no_body_takes_much_longer_than_another_of_its_size(
    place: Callable[[bytes], Place], begin: bytes, unit: bytes, end: bytes, answer: str
) -> None:
    body = begin + unit * (SIZE // len(unit)) + end
    assert place(body) == answer
    brackets = b'{"x":' + b"[" * SIZE + b"}"
    assert seconds(place, body) < 15 * seconds(place, brackets)


def test_a_long_text_is_searched_through(place: Callable[[bytes], Place]) -> None:
    text = (b"x" * 997 + rb"\"" + b"y") * (SIZE // 1000)
    assert place(b'{"x": "' + text + b'", "model": "b"}') == (len(text) + 20, len(text) + 21)
    assert place(b'{"x": "' + text + b'\\", "model": "b"}') == "malformed"
    for length in range(60, 70):  # where the search begins
        before = b'{"x": "' + b"x" * length
        for escaped in (b"", rb"\"", rb"\\", rb"\\\"", rb"\"\"\"", rb"\\\\"):
            begin = before + escaped + b'", "model": "'
            assert place(begin + b'b"}') == (len(begin), len(begin) + 1)


def read(body: bytes, headers: dict[bytes, bytes]) -> None:
    """Run the filter that reads; `headers` are the request's, and what it finds is added to them."""
    lua = LuaRuntime(encoding=None)
    lua.execute(source(json_bodies.CONSTANTS, "json_model.lua", "name_model.lua").encode())
    handle = lua.execute(b"""
        local body, get, put = ...
        local headers = { get = function(_, name) return get(name) end, replace = function(_, ...) put(...) end }
        return {
          headers = function() return headers end,
          body = function() return { length = function() return #body end, getBytes = function() return body end } end,
          clearRouteCache = function() end,
        }
    """, body, headers.get, headers.__setitem__)  # fmt: skip
    lua.globals()[b"envoy_on_request"](handle)


@pytest.mark.parametrize(("unit", "name"), [(b"x", b"x"), (rb"\u0078", b"x"), (rb"\n", b"?")], ids=repr)
def test_of_a_long_name_only_its_beginning_is_read(place: Callable[[bytes], Place], unit: bytes, name: bytes) -> None:
    found: dict[bytes, bytes] = {}
    body = b'{"model": "' + unit * (2 * SIZE // len(unit)) + b'"}'
    read(body, found)
    assert found == {names.BODY_MODEL_HEADER.encode(): name * 100}
    assert seconds(lambda body: read(body, {}), body) < 15 * seconds(place, b'{"x":' + b"[" * SIZE + b"}")


@pytest.mark.parametrize("encoding", [b"identity", b"Identity"])
def test_a_body_without_an_encoding_is_read(encoding: bytes) -> None:
    headers = {b"content-encoding": encoding}
    read(b'{"model": "iris"}', headers)
    assert headers[names.BODY_MODEL_HEADER.encode()] == b"iris"
