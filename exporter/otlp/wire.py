"""The few pieces of protobuf's wire format that OTLP records are made of.

Building the same bytes through generated classes costs several times as much, and the encoder is what limits
delivery. Nothing here knows what the fields mean; `tests/otlp` reads everything back with the generated classes.
Source: protobuf.dev, "Encoding"; field numbers of `KeyValue` and `AnyValue` from opentelemetry-proto `common.proto`.
"""

from __future__ import annotations


_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_ONE_BYTE = 0x80
_MASK_64 = (1 << 64) - 1


def varint(number: int) -> bytes:
    """Encode an integer in groups of seven bits; a negative one as its two's complement of 64 bits."""
    if 0 <= number < _ONE_BYTE:
        return bytes((number,))
    number &= _MASK_64
    groups = bytearray()
    while number >= _ONE_BYTE:
        groups.append(number & 0x7F | _ONE_BYTE)
        number >>= 7
    groups.append(number)
    return bytes(groups)


_LENGTHS = tuple(varint(number) for number in range(1 << 14))


def delimited(tag: bytes, content: bytes) -> bytes:
    """Encode a field whose content has a length: a text, bytes, a message."""
    size = len(content)
    return tag + (_LENGTHS[size] if size < len(_LENGTHS) else varint(size)) + content


def length_tag(field: int) -> bytes:
    """Give the tag of a field with a length."""
    return varint(field << 3 | _LENGTH)


def varint_tag(field: int) -> bytes:
    """Give the tag of an integer or boolean field."""
    return varint(field << 3 | _VARINT)


def fixed64_tag(field: int) -> bytes:
    """Give the tag of a field of eight bytes."""
    return varint(field << 3 | _FIXED64)


def fixed32_tag(field: int) -> bytes:
    """Give the tag of a field of four bytes."""
    return varint(field << 3 | _FIXED32)


def utf8(text: str) -> bytes:
    """Encode a text; what is no character (half a surrogate pair) becomes `?`, since protobuf refuses it."""
    return text.encode("utf-8", "replace")


_KEY, _VALUE = length_tag(1), length_tag(2)
_STRING, _ARRAY, _ITEM = length_tag(1), length_tag(5), length_tag(1)
_BOOL, _INT = varint_tag(2), varint_tag(3)


class Attribute:
    """Encodes attributes of one name.

    Args:
        field: of the message that holds the attributes: 6 in LogRecord, 1 in Resource
        name: of the attribute

    """

    __slots__ = ("_key", "_tag")

    def __init__(self, field: int, name: str) -> None:
        self._tag = length_tag(field)
        self._key = delimited(_KEY, utf8(name))

    def text(self, value: str) -> bytes:
        """Encode a text."""
        return self.utf8(value.encode("utf-8", "replace"))

    def utf8(self, value: bytes) -> bytes:
        """Encode a text that is UTF-8 already."""
        return delimited(self._tag, self._key + delimited(_VALUE, delimited(_STRING, value)))

    def integer(self, value: int) -> bytes:
        """Encode an integer of 64 bits."""
        return delimited(self._tag, self._key + delimited(_VALUE, _INT + varint(value)))

    def true(self) -> bytes:
        """Encode a yes."""
        return delimited(self._tag, self._key + delimited(_VALUE, _BOOL + b"\x01"))

    def texts(self, values: tuple[str, ...]) -> bytes:
        """Encode a list of texts."""
        items = b"".join(delimited(_ITEM, delimited(_STRING, utf8(value))) for value in values)
        return delimited(self._tag, self._key + delimited(_VALUE, delimited(_ARRAY, items)))
