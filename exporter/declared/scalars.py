"""What a scalar of YAML means to kubectl and Helm, which read it by the rules of go-yaml v2.

They are those of YAML 1.1 in part: `y` is true, `010` is 8; and not in part: `12:30` and `2024-01-01` are text, `0o17`
is 15, `08` is 8, `1e-3` is a number. Whatever PyYAML would make of a scalar must not have a say. Pure.

Source: `resolve.go` of go.yaml.in/yaml/v2 v2.4, `yaml.go` of sigs.k8s.io/yaml v1.6.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from decimal import Decimal
from typing import Any


_TAG = "tag:yaml.org,2002:"
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_BASES = (16, 2, 8, 10)
_MIN, _MAX, _UNSIGNED = -(2**63), 2**63, 2**64
# As Go's %g for the shortest text: exponents from here on are written as such.
_LEAST_PLAIN, _MOST_PLAIN = -4, 6


def resolve(text: str, tag: str | None, *, plain: bool) -> Any:  # noqa: ANN401 - any scalar
    """Give the value of a scalar.

    Args:
        text: of the scalar
        tag: that was written before it, in full; None where there was none
        plain: it stands in no quotes

    Raises:
        ValueError: it is not what its tag says

    """
    if tag is None:
        return _untagged(text) if plain else text
    kind = tag.removeprefix(_TAG) if tag.startswith(_TAG) else ""
    if kind == "binary":
        try:
            return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            raise ValueError("has a !!binary that is no base64") from None
    if kind not in _KINDS:
        return text
    value = _untagged(text)
    if kind == "float" and type(value) is int:
        value = float(value)
    if not isinstance(value, _KINDS[kind]) or (kind == "int" and isinstance(value, bool)):
        msg = f"has a value tagged !!{kind} that is none"
        raise ValueError(msg)
    return value


_KINDS: dict[str, type | tuple[type, ...]] = {"int": int, "float": float, "bool": bool, "null": type(None)}


def _untagged(text: str) -> Any:  # noqa: ANN401 - any scalar
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _float(text, text)
    if first not in "+-0123456789":
        return text
    digits = text.replace("_", "")
    found = _INTEGER.fullmatch(digits)
    if found is None:
        return _float(digits, text)
    number = next(int(part, base) for part, base in zip(found.groups()[1:], _BASES, strict=True) if part is not None)
    number = -number if found[1] == "-" else number
    if _MIN <= number < _MAX or (not found[1] and number < _UNSIGNED):
        return number
    return _float(digits, text)


def _float(digits: str, text: str) -> float | str:
    """Read a number of 64 bits; what is none, or too large, is text."""
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    return text if math.isinf(number) else number


def as_json(value: Any) -> Any:  # noqa: ANN401 - any scalar
    """Give a scalar as it comes out of the API server: a number without a fraction is an integer.

    Raises:
        ValueError: it is a number that JSON does not have

    """
    if type(value) is int and not _MIN <= value < _MAX:
        value = float(value)
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise ValueError("has a number that is infinite or none at all")
    if not value.is_integer():
        return value
    # Go writes the fewest digits that tell a float apart, and reads those again.
    whole = int(Decimal(repr(value)))
    return whole if _MIN <= whole < _MAX else value


def as_key(value: Any) -> str:  # noqa: ANN401 - any scalar
    """Write a scalar as the key of a mapping.

    Raises:
        ValueError: it cannot be one

    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_key(value)
    if isinstance(value, int) and value < _MAX:
        return str(value)
    raise ValueError("has a key that is nothing, or no word")


def _float_key(value: float) -> str:
    """Write a float as Go does: with the fewest digits that give it back at 32 bits."""
    if math.isnan(value):
        return ".nan"
    try:
        wanted = struct.pack("f", value)
    except OverflowError:
        wanted = struct.pack("f", math.copysign(math.inf, value))
    (value,) = struct.unpack("f", wanted)
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    digits = next(count for count in range(9) if struct.pack("f", float(f"{value:.{count}e}")) == wanted)
    text = f"{value:.{digits}e}"
    exponent = int(text.partition("e")[2])
    if _LEAST_PLAIN <= exponent < _MOST_PLAIN:
        return f"{float(text):.{max(digits - exponent, 0)}f}"
    return text
