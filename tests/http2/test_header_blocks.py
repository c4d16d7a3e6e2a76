"""What is remembered of header blocks is what the hpack library says of the same bytes, whatever came before."""

from typing import Final

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.http2.faults import ConnectionFault, StreamFault
from extproc.http2.frames import ErrorCode
from extproc.http2.header_blocks import HeaderBlocks, Metadata, split
from extproc.http2.request import Field, RequestHead, request_head
from tests.http2.given import REQUEST

Meaning = tuple[tuple[str, str, int | None], Metadata] | ErrorCode
TRACEPARENT: Final = "00-{}-b5f83800d959d071-00"


def interpret(head: RequestHead) -> tuple[str, str, int | None]:
    return head.method, head.path, head.content_length


def blocks() -> HeaderBlocks[tuple[str, str, int | None]]:
    """Of a peer that has obeyed: its table has size 0."""
    made = HeaderBlocks(interpret, frozenset({"content-type"}))
    made.acknowledged()
    made.skip(b"\x20")
    return made


def read(by: HeaderBlocks[tuple[str, str, int | None]], block: bytes) -> Meaning:
    try:
        return by.request(block)
    except (StreamFault, ConnectionFault) as fault:
        return fault.code


def reference(block: bytes) -> Meaning:
    """What hpack says, of a connection that has seen nothing else."""
    decoder = hpack.Decoder(32_768)
    decoder.header_table_size = decoder.max_allowed_table_size = 0
    try:
        fields = [Field.of(name, value) for name, value in decoder.decode(block, raw=True)]
        head = request_head(fields)
    except hpack.OversizedHeaderListError:
        return ErrorCode.ENHANCE_YOUR_CALM
    except hpack.HPACKError:
        return ErrorCode.COMPRESSION_ERROR
    except StreamFault as fault:
        return fault.code
    return interpret(head), tuple((f.name, f.value) for f in fields if not f.pseudo)


def encoded(*more: tuple[str, str], huffman: bool = False) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode([*REQUEST, *more], huffman=huffman).removeprefix(b"\x20")


NAMES: Final = st.sampled_from(
    [
        "traceparent",
        "tracestate",
        "te",
        "content-length",
        "content-type",
        "x",
        "X",
        "connection",
        ":path",
        ":method",
        "",
    ]
)
VALUES: Final = st.sampled_from(
    ["", "1", "2", "trailers", "application/grpc", "a b", " a", "é", "a\n", TRACEPARENT]
) | (st.text(st.characters(max_codepoint=255), max_size=40))
FIELDS: Final = st.lists(st.tuples(NAMES, VALUES), max_size=3)


@st.composite
def a_block(draw: st.DrawFn) -> bytes:
    """A request, often like another one, sometimes with bytes that were changed, left out or put in."""
    fields = draw(FIELDS)
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    pairs = [(n.encode(), v.encode("latin-1")) for n, v in [*REQUEST, *fields]]
    block = encoder.encode(pairs, huffman=draw(st.booleans())).removeprefix(b"\x20")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(block)))
        block = block[:at] + draw(st.binary(max_size=3)) + block[at + draw(st.integers(0, 3)) :]
    return block


@given(st.lists(a_block() | st.binary(max_size=30), min_size=1, max_size=12))
def test_whatever_was_read_before_a_block_means_what_hpack_says(sequence: list[bytes]) -> None:
    reader = blocks()
    for block in [*sequence, *sequence, *sequence]:
        expected = reference(block)
        assert read(reader, block) == expected
        if expected in {ErrorCode.COMPRESSION_ERROR, ErrorCode.ENHANCE_YOUR_CALM}:
            reader = blocks()  # the connection would be over


@given(a_block() | st.binary(max_size=60))
def test_the_parts_of_a_block_are_the_block(block: bytes) -> None:
    parts = split(block)
    if parts is not None:
        assert b"".join(parts) == block
        assert all(split(part) == [part] for part in parts)


def decodes(reader: HeaderBlocks[tuple[str, str, int | None]], block: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many bytes hpack is asked to decode for a block."""
    asked: list[int] = []
    real = hpack.Decoder.decode

    def decode(self: hpack.Decoder, data: bytes, raw: bool = False) -> object:
        asked.append(len(data))
        return real(self, data, raw=raw)

    with monkeypatch.context() as patch:
        patch.setattr(hpack.Decoder, "decode", decode)
        reader.request(block)
    return sum(asked)


def test_a_block_that_comes_again_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, block = blocks(), encoded()
    assert decodes(reader, block, monkeypatch) == len(block)
    assert decodes(reader, block, monkeypatch) == 0
    assert reader.request(block)[0] is reader.request(block)[0]


def test_of_a_traced_block_only_the_trace_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = blocks()
    seen = []
    for n in range(1000):
        trace = TRACEPARENT.format(f"{n:032x}")
        block = encoded(("traceparent", trace), ("x-envoy-internal", "true"))
        if n > 1:
            assert decodes(reader, block, monkeypatch) < 80
        seen.append(dict(reader.request(block)[1])["traceparent"] == trace)
    assert all(seen)


def test_of_a_trace_in_plain_text_nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = blocks()
    for n in range(1000):
        block = encoded(("traceparent", TRACEPARENT.format(f"{n:032x}")), ("x-envoy-internal", "true"))
        if n > 1:
            assert decodes(reader, block, monkeypatch) == 0
        assert read(reader, block) == reference(block)


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x", ["ab", "cd", "e\n", " f", "g ", "hi"]),
        ("user-agent", ["one", "two", "three", "tw\0", "six"]),  # a name of the static table, behind its first 14
        ("x" * 126, ["1", "2", "3"]),
        ("x", ["", "", "1"]),
        ("x", ["v" * 126 + "1", "v" * 126 + "2", "v" * 126 + "3"]),
    ],
)
def test_of_a_value_of_the_same_length_all_rules_hold(name: str, values: list[str], *, huffman: bool) -> None:
    reader = blocks()
    for value in [*values, *values]:
        block = encoded((name, value), ("x-last", "1"), huffman=huffman)
        assert read(reader, block) == reference(block)


def test_of_a_field_with_one_value_no_other_is_taken() -> None:
    reader = blocks()
    for sent in ((), (("te", "trailers"),), (("te", "trailer1"),)):
        block = encoded(*sent, ("x-last", "1"))
        assert read(reader, block) == reference(block)


@pytest.mark.parametrize(
    "between",
    [
        (("content-length", "3"),),
        (("content-type", "text/plain"),),
        (("X", "1"),),
        (("connection", "close"),),
        (("traceparent", "a\n"),),
        (("traceparent", "1"), ("traceparent", "2")),
        (("traceparent", "1"), ("content-length", "3")),
    ],
)
def test_a_block_of_the_same_shape_but_for_its_meaning_is_read_as_a_whole(between: tuple[tuple[str, str], ...]) -> None:
    reader = blocks()
    for n in range(3):
        reader.request(encoded(("traceparent", str(n)), ("x-last", "1")))
    assert reader._shape is not None
    block = encoded(*between, ("x-last", "1"))
    assert block.startswith(reader._shape.before)
    assert block.endswith(reader._shape.after)
    assert read(reader, block) == reference(block)


def test_a_change_of_the_table_in_the_middle_of_a_block_is_refused() -> None:
    reader = blocks()
    for n in range(3):
        reader.request(encoded(("traceparent", str(n)), ("x-last", "1")))
    assert reader._shape is not None
    before, after = reader._shape.before, reader._shape.after
    field = encoded(("traceparent", "5"))[len(encoded()) :]
    assert read(reader, before + field + after) == reference(before + field + after)
    changed = before + b"\x20" + field + after
    assert read(reader, changed) == reference(changed) == ErrorCode.COMPRESSION_ERROR


def test_while_the_peer_has_a_table_nothing_is_remembered() -> None:
    encoder = hpack.Encoder()
    reader = HeaderBlocks(interpret, frozenset())
    first = encoder.encode([*REQUEST, ("x-a", "1")])
    again = encoder.encode([*REQUEST, ("x-a", "1")])
    other = encoder.encode([*REQUEST, ("x-b", "2")])
    moved = encoder.encode([*REQUEST, ("x-a", "1")])
    assert again != moved, "the table does not move: this tests nothing"
    for block, field in ((first, ("x-a", "1")), (again, ("x-a", "1")), (other, ("x-b", "2")), (moved, ("x-a", "1"))):
        assert field in reader.request(block)[1]


def test_a_larger_table_is_refused_once_ours_is_acknowledged() -> None:
    larger = b"\x3f\xe1\x1f"  # 4,096
    reader = HeaderBlocks(interpret, frozenset())
    reader.skip(larger)
    reader.acknowledged()
    with pytest.raises(ConnectionFault, match="COMPRESSION_ERROR"):
        reader.skip(larger)
    with pytest.raises(ConnectionFault, match="COMPRESSION_ERROR"):
        blocks().skip(larger)
    allowed = HeaderBlocks(interpret, frozenset(), table=True)
    allowed.acknowledged()
    allowed.skip(larger)


def test_a_bomb_is_refused() -> None:
    """An entry of the table that is large, named again and again."""
    reader = HeaderBlocks(interpret, frozenset())
    reader.skip(b"\x40\x01a\x7f\x81\x1e" + b"b" * 3968)  # length 127 + 3841
    with pytest.raises(ConnectionFault, match="ENHANCE_YOUR_CALM"):
        reader.skip(b"\xbe" * 16_000)


@pytest.mark.parametrize(
    "block", [b"\x7f" + b"\xff" * 60_000, b"\x00\x7f" + b"\xff" * 60_000 + b"\x01", b"\xff" * 60_000]
)
def test_a_number_without_end_is_refused_at_once(block: bytes) -> None:
    with pytest.raises(ConnectionFault, match="COMPRESSION_ERROR"):
        blocks().request(block)


def test_what_is_remembered_is_bounded() -> None:
    reader = blocks()
    for n in range(2000):
        for _ in range(3):
            reader.request(encoded((f"x-{n}", "v" * 100), ("y", str(n))))
    assert len(reader._blocks) <= 64
    assert len(reader._fields) <= 256
    assert sum(map(len, reader._blocks)) + sum(map(len, reader._fields)) < 100_000


def test_of_blocks_of_very_many_fields_nothing_is_remembered() -> None:
    """Fields of one byte, of the static table: each costs more to be remembered than to be sent."""
    reader = blocks()
    for n in range(100):
        for _ in range(3):
            _, metadata = reader.request(encoded() + b"\x90" * (50 + n))
            assert len(metadata) > 50
    assert sum(len(shape.metadata_before) for shape in reader._blocks.values()) <= 64 * 32
