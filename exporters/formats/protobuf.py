"""Protocol buffers as they are on the wire: a few functions, so that no format needs a library."""

import struct
from collections.abc import Iterable

Message = bytearray
"""An encoded message, or a part of one: parts are put together by `+=`."""


def varint(number: int) -> bytes:
    """Return an integer of 64 bits; a negative one as its two's complement.

    >>> varint(1).hex(), varint(300).hex(), len(varint(-1))
    ('01', 'ac02', 10)
    """
    return _SHORT[number] if 0 <= number < _SHORT_ENDS else _varint(number)


def _varint(number: int) -> bytes:
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_SHORT_ENDS = 1 << 12
_SHORT = [_varint(number) for number in range(_SHORT_ENDS)]
"""Nearly all numbers are tags, lengths and ids: to look these up takes a fifth of the time."""


def integer(field: int, value: int) -> bytes:
    """Return a field of an integer, an enumeration or a boolean.

    >>> integer(1, 150).hex()
    '089601'
    """
    return varint(field << 3) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    """Return a field of 64 bits, little end first.

    >>> fixed64(1, 1).hex()
    '090100000000000000'
    """
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def double(field: int, value: float) -> bytes:
    """Return a field of a floating-point number.

    >>> double(1, 1.0).hex()
    '09000000000000f03f'
    """
    return varint(field << 3 | 1) + struct.pack("<d", value)


def block(field: int, value: bytes | bytearray) -> bytes:
    """Return a field of bytes or of a message.

    >>> block(2, b"ab").hex()
    '12026162'
    """
    return varint(field << 3 | 2) + varint(len(value)) + bytes(value)


def text(field: int, value: str) -> bytes:
    r"""Return a field of a string: UTF-8, with lone surrogates, which it does not have, written as escapes.

    >>> text(1, "a"), text(1, "\udcff")
    (b'\n\x01a', b'\n\x06\\udcff')
    """
    return block(field, value.encode("utf-8", "backslashreplace"))


def packed(field: int, values: Iterable[int]) -> bytes:
    """Return a repeated field of integers.

    >>> packed(4, [3, 270]).hex()
    '2203038e02'
    """
    return block(field, b"".join(map(varint, values)))
