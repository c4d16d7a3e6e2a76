"""Header blocks to header fields. The `hpack` library decodes; what comes again and again is remembered.

By default we allow the peer a dynamic table of size 0 (RFC 7541, section 4.2). From then on a block means the same
wherever it comes, and so does each field in it: a block that was decoded before is one look-up, and of a block that is
like the last but for one field (`traceparent`, where requests are traced) only that field is decoded, or not even it,
where it is plain text of the same length. Must stay true:
what is remembered is only used, and only learnt, while the table has size 0, and is what hpack says of the same bytes.
"""

from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from hpack import Decoder, HPACKError, OversizedHeaderListError

from extproc.http2.faults import ConnectionFault
from extproc.http2.frames import ErrorCode
from extproc.http2.request import CHOOSY, CONTENT_LENGTH, VALUE, Field, RequestHead, check_trailers, request_head

LIST_SIZE: Final = 32_768  # as SETTINGS_MAX_HEADER_LIST_SIZE counts it

# What is remembered on a connection stays below 400 KiB. A block that is split has at most 30,720 bytes of fields, less
# than LIST_SIZE: a byte of it is the longest entry of the static table (28) and what an entry is counted for (32).
_BLOCKS: Final = 64
_FIELDS: Final = 256
_BLOCK_SIZE: Final = 512
_FIELD_SIZE: Final = 256
_FIELDS_IN_BLOCK: Final = 32

# A byte of a block may be a field, and take as long to be read as a call. No client of ours sends so many.
_MANY: Final = 64
_FIELDS_A_COST: Final = 16

_SIZE_UPDATE: Final = 0x20  # to 0; a larger one has more bits, RFC 7541 section 6.3


Opening = TypeVar("Opening")
Metadata = tuple[
    tuple[str, str], ...
]  # names and values of the fields that are not pseudo-header fields, in their order


class Shape(NamedTuple, Generic[Opening]):
    """Blocks that differ in one field: what they begin and end with, and what that means.

    Those of `size` bytes that begin with `lead` differ in that field's value alone, and it is plain text; 0 for none.
    """

    before: bytes
    after: bytes
    lead: bytes
    size: int
    name: str  # of the field in between
    opening: Opening
    metadata_before: Metadata
    metadata_after: Metadata


class HeaderBlocks(Generic[Opening]):
    """Reads the header blocks of one connection, which have to come in their order.

    With a `table`, the peer may have a dynamic table of the size that HTTP/2 begins with. `interpret` is what the layer
    above makes of a request's head: remembered with it, so that this is done once, too. Of header fields, it may read
    those that `decisive` names and no others. `spend` is told the cost of a block of very many fields.
    """

    __slots__ = (
        *("_acknowledged", "_blocks", "_decisive", "_decoder", "_fields", "_interpret", "_shape", "_spend", "_table"),
        *("means_the_same", "usual"),
    )

    def __init__(
        self,
        interpret: Callable[[RequestHead], Opening],
        decisive: frozenset[str],
        *,
        table: bool = False,
        spend: Callable[[int], None] | None = None,
    ) -> None:
        self._table: Final = table
        self._spend: Final = spend
        self._interpret: Final = interpret
        self._decisive: Final = decisive | {CONTENT_LENGTH}
        self._decoder: Final = Decoder(LIST_SIZE)
        self._blocks: Final[dict[bytes, Shape[Opening]]] = {}
        self._fields: Final[dict[bytes, Field]] = {}
        self._shape: Shape[Opening] | None = None
        self.usual: Shape[Opening] | None = None  # what the last block was like, if it was known; `size` is not 0
        self._acknowledged = False
        self.means_the_same = False  # a block, wherever it comes: there is no table

    def acknowledged(self) -> None:
        """The peer has read what size its dynamic table should have."""
        self._acknowledged = not self._table

    def request(self, block: bytes) -> tuple[Opening, Metadata]:
        """A request's. Raises StreamFault when it is malformed, ConnectionFault when it can't be read."""
        if not self.means_the_same:
            return self._read(self._decode(block))
        known = self._blocks.get(block)
        if known is not None:
            self.usual = known
            return known.opening, known.metadata_before
        if len(block) > _BLOCK_SIZE:
            return self._read(self._decode(block))
        return self._like_the_last(block) or self._read_in_parts(block)

    def _read(self, fields: Sequence[Field]) -> tuple[Opening, Metadata]:
        self._weigh(fields)
        return self._interpret(request_head(fields)), metadata(fields)

    def _weigh(self, fields: Sequence[Field]) -> None:
        if len(fields) > _MANY and self._spend is not None:
            self._spend(len(fields) // _FIELDS_A_COST)

    def _like_the_last(self, block: bytes) -> tuple[Opening, Metadata] | None:
        """What a block means that has the shape of the last one; None when it has not."""
        shape = self._shape
        if shape is None or not (block.startswith(shape.before) and block.endswith(shape.after)):
            return None
        if len(block) == shape.size and block.startswith(shape.lead):
            value = block[len(shape.lead) : shape.size - len(shape.after)]
            if VALUE.fullmatch(value):
                self.usual = shape
                field = (shape.name, value.decode("latin-1"))
                return shape.opening, (*shape.metadata_before, field, *shape.metadata_after)
        # Fields delimit themselves: if this is whole fields, so is what comes before it, and what comes after it.
        between = block[len(shape.before) : len(block) - len(shape.after)]
        if not between or between[0] & 0xE0 == _SIZE_UPDATE:
            return None
        try:
            fields = self._decode(between)
        except ConnectionFault:
            return None
        if len(fields) != 1 or fields[0].name != shape.name or not fields[0].valid:
            return None
        return shape.opening, (*shape.metadata_before, fields[0][:2], *shape.metadata_after)

    def _read_in_parts(self, block: bytes) -> tuple[Opening, Metadata]:
        parts = split(block)
        if parts is None or len(parts) > _FIELDS_IN_BLOCK:
            return self._read(self._decode(block))
        new = [at for at, part in enumerate(parts) if part not in self._fields]
        fields = [self._fields.get(part) or self._learn(part) for part in parts]
        meaning = self._read(fields)
        # A block is worth remembering when it has nothing new: else each traced request would push out another.
        if not new:
            if len(self._blocks) == _BLOCKS:
                self._blocks.clear()
            self._blocks[block] = Shape(block, b"", block, len(block), "", *meaning, ())
        elif len(new) == 1:
            (at,) = new
            name, _, pseudo, _ = fields[at]
            if not pseudo and name not in self._decisive:
                before, after = b"".join(parts[:at]), b"".join(parts[at + 1 :])
                begins = 0 if name in CHOOSY else plain_value(parts[at])
                lead, size = before + parts[at][:begins], len(block) if begins else 0
                around = metadata(fields[:at]), metadata(fields[at + 1 :])
                self._shape = Shape(before, after, lead, size, name, meaning[0], *around)
        return meaning

    def trailers(self, block: bytes) -> None:
        """Trailers. Raises StreamFault when they are malformed, ConnectionFault when they can't be read."""
        fields = self._decode(block)
        self._weigh(fields)
        check_trailers(fields)

    def skip(self, block: bytes) -> None:
        """A block of no interest, which may change the table all the same. Raises ConnectionFault."""
        self._weigh(self._decode(block))

    def _learn(self, part: bytes) -> Field:
        (field,) = self._decode(part)
        if len(part) <= _FIELD_SIZE:
            if len(self._fields) == _FIELDS:
                self._fields.clear()
            self._fields[part] = field
        return field

    def _decode(self, block: bytes) -> Sequence[Field]:
        decoder = self._decoder
        if self._acknowledged:
            # Some go on with the table that they had before (h2spec does). That costs only them, but to ask for one is
            # an error (RFC 7541, section 6.3).
            if not decoder.header_table_size:
                decoder.max_allowed_table_size = 0
            if block and block[0] & 0xE0 == _SIZE_UPDATE and block[0] != _SIZE_UPDATE:
                raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, "a dynamic table of a size that is not allowed")
        try:
            return [Field.of(name, value) for name, value in decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"header fields of over {LIST_SIZE} bytes") from error
        except HPACKError as error:
            # Its text may hold an address of our memory, which is nobody's business.
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, f"not HPACK: {type(error).__name__}") from error
        finally:
            self.means_the_same = not decoder.header_table_size


def metadata(fields: Sequence[Field]) -> Metadata:
    """What is handed on of header fields."""
    return tuple((name, value) for name, value, pseudo, _ in fields if not pseudo)


def split(block: bytes) -> list[bytes] | None:  # noqa: C901 - one loop, and fast
    """The representations of header fields (RFC 7541, section 6) that a block is made of, one after the other.

    None for a block that changes the table's size, ends inside a field, or has a number of more than two bytes: that is
    for the decoder to judge. Only lengths are read here.
    """
    parts = []
    at, end = 0, len(block)
    try:
        while at < end:
            start = at
            first = block[at]
            at += 1
            if first < 0x80:
                if first >= 0x40:
                    index, full = first & 0x3F, 0x3F
                elif first >= 0x20:
                    return None
                else:
                    index, full = first & 0x0F, 0x0F
                if index == full:
                    if block[at] >= 0x80:
                        return None
                    at += 1
                elif not index:  # the name follows as a string, as the value does
                    length = block[at] & 0x7F
                    if length == 0x7F:
                        return None
                    at += 1 + length
                length = block[at] & 0x7F
                if length == 0x7F:
                    return None
                at += 1 + length
            elif first == 0xFF:
                return None
            parts.append(block[start:at])
    except IndexError:
        return None
    return parts if at == end else None


def plain_value(part: bytes) -> int:
    """Where in a literal field, as `split` has it, its value begins; 0 where there is none without Huffman coding."""
    first = part[0]
    if first >= 0x80:
        return 0
    full = 0x3F if first >= 0x40 else 0x0F
    index = first & full
    length = 2 if index == full else 1 if index else 2 + (part[1] & 0x7F)
    return length + 1 if part[length] < 0x80 else 0
