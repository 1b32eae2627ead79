"""How DECIMAL lies in a row: groups of nine digits, big-endian, sign in the top bit.

Nine digits take four bytes, the rest of each part fewer. The sign bit is inverted; a negative number has all bits inverted.
"""

from __future__ import annotations

__all__ = ["decimal_layout", "decimal_text"]

_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)

_PRECISION_MAX = 81
"""A column has 65 digits at most, but a DECIMAL inside JSON counts whole groups: nine of nine digits."""

Groups = list[tuple[int, int]]


def decimal_layout(precision: int, decimals: int) -> tuple[int, Groups, Groups]:
    """Size in bytes, then (digits, bytes) of each group before and behind the point."""
    whole = precision - decimals
    groups = [(whole % 9, _DIGIT_BYTES[whole % 9])] if whole % 9 else []
    groups += [(9, 4)] * (whole // 9)
    parts = [(9, 4)] * (decimals // 9)
    if decimals % 9:
        parts.append((decimals % 9, _DIGIT_BYTES[decimals % 9]))
    return sum(size for _, size in groups + parts), groups, parts


def decimal_text(raw: bytes, precision: int, decimals: int) -> bytes:
    """The number as the server prints it. Raises ValueError for another size or an impossible precision."""
    if not 0 < precision <= _PRECISION_MAX or decimals > precision:
        raise ValueError("a DECIMAL out of range")
    size, groups, parts = decimal_layout(precision, decimals)
    if len(raw) != size:
        raise ValueError("a DECIMAL of another size")
    number = int.from_bytes(raw, "big") ^ 1 << 8 * size - 1
    sign = b""
    if number >> 8 * size - 1:
        sign, number = b"-", number ^ (1 << 8 * size) - 1
    left = 8 * size
    digits = ""
    for count, width in groups + parts:
        left -= 8 * width
        group = number >> left & (1 << 8 * width) - 1
        if group >= 10**count:
            raise ValueError("no decimal digits")
        digits += f"{group:0{count}d}"
    whole = digits[: precision - decimals].lstrip("0") or "0"
    return sign + (f"{whole}.{digits[precision - decimals :]}" if decimals else whole).encode()
