"""Floating point numbers as SQL literals, and as the servers print them; both hold every bit of the number.

Both servers print the shortest digits that give the number back, as Python does; they differ in when an exponent is used.
"""

from __future__ import annotations

__all__ = ["double_literal", "double_text", "single_literal"]

_PLAIN_DIGITS_MAX = 15  # a whole number with more digits is printed with an exponent
_PLAIN_ZEROS_MAX = 14  # so is a fraction with more zeros behind the point
_SINGLE_PLAIN_MAX = 3.4e38  # close to FLOAT's limit, nine digits may round to what lies beyond


def double_literal(number: float) -> bytes:
    """A literal of type DOUBLE; without an exponent it would be a DECIMAL. Raises ValueError for what no column holds."""
    text = repr(number)
    if "e" in text:
        return text.encode()
    if number == 0:
        # As a number MariaDB takes -0 for 0; as a string it keeps the sign.
        return b"'-0'" if text[0] == "-" else b"0e0"
    if "n" in text:
        raise ValueError("not a finite number")
    return text.encode() + b"e0"


def single_literal(number: float) -> bytes:
    """A literal of type DOUBLE that a FLOAT column rounds to ``number``, which is single precision: nine digits do."""
    if number and -_SINGLE_PLAIN_MAX < number < _SINGLE_PLAIN_MAX:
        return b"%.8e" % number
    return double_literal(number)


def double_text(number: float) -> bytes:
    """As ``SELECT CAST(x AS DOUBLE)`` prints it."""
    text = repr(number)
    if "n" in text:
        raise ValueError("not a finite number")
    if "e" not in text:
        if text[-2:] != ".0":
            return text.encode()
        if len(text) <= _PLAIN_DIGITS_MAX + 2:
            return text[:-2].encode()
    mantissa, _, exponent = text.partition("e")
    sign = ""
    if mantissa[0] == "-":
        sign, mantissa = "-", mantissa[1:]
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return (sign + "0").encode()
    # The number is 0.DIGITS * 10 ** point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if (point > _PLAIN_DIGITS_MAX and point >= len(digits)) or point < -_PLAIN_ZEROS_MAX:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{tail}e{point - 1}".encode()
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}".encode()
    if point >= len(digits):
        return f"{sign}{digits.ljust(point, '0')}".encode()
    return f"{sign}{digits[:point]}.{digits[point:]}".encode()
