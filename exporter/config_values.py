"""The words and quantities that a configuration can hold: globs, selectors, pointers, durations, sizes.

Each is read, or checked, by a function that raises `ValueError` with the half of a sentence that follows the key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exporter.config_shapes import show, text_of
from exporter.labels import read_selector


if TYPE_CHECKING:
    from exporter.config_shapes import Parse

_GLOB = re.compile(r"[A-Za-z0-9.*?!\[\]-]+/[A-Za-z0-9*?!\[\]-]+")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FIELD_REQUIREMENT = re.compile(r"\s*[A-Za-z][\w./\[\]'-]*\s*(?:==|!=|=)[^=,]*")


def glob(text: str) -> None:
    """Check a glob of `group/Kind`."""
    if _GLOB.fullmatch(text):
        return
    parts = text.split("/")
    remedy = "write group/Kind, such as cert-manager.io/Certificate, *.example.com/* or v1/ConfigMap"
    if len(parts) == 1 and text:
        remedy = f"write group/Kind: */{text} for any group"
    elif len(parts) == 3 and all(parts):  # noqa: PLR2004 - group/version/Kind
        remedy = f"leave the version out: {parts[0]}/{parts[2]}"
    elif len(parts) == 2 and not parts[0] and parts[1]:  # noqa: PLR2004
        remedy = f"the core group is written v1/{parts[1]}"
    msg = f"{show(text)} is no group/Kind; {remedy}"
    raise ValueError(msg)


def namespace(text: str) -> None:
    """Check the name of a namespace."""
    if not _NAMESPACE.fullmatch(text):
        wild = set("*?[") & set(text)
        remedy = (
            "name each, or remove the key for all" if wild else "give the name as `kubectl get namespaces` shows it"
        )
        msg = f"{show(text)} is no name of a namespace; {remedy}"
        raise ValueError(msg)


def label_selector(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a label selector as kubectl takes it; checked lightly, the server has the last word."""
    text = text_of(value)
    read_selector(text)
    return text


def field_selector(value: Any) -> str:  # noqa: ANN401 - any YAML
    """Read a field selector as kubectl takes it; checked lightly."""
    text = text_of(value)
    for requirement in text.split(","):
        if not _FIELD_REQUIREMENT.fullmatch(requirement):
            msg = f"{show(requirement.strip())} is no field selector; write it as for kubectl: metadata.name=web"
            raise ValueError(msg)
    return text


def pointer(text: str) -> None:
    """Check a JSON Pointer (RFC 6901), in which `*` and `**` may stand for segments."""
    if not text.startswith("/"):
        msg = f"{show(text)} is no JSON Pointer; begin with a slash: /{text.removeprefix('.').replace('.', '/')}"
        raise ValueError(msg)
    if re.search(r"~(?![01])", text):
        msg = f"{show(text)} has a ~ that stands for nothing; write ~0 for ~ and ~1 for a slash in a name"
        raise ValueError(msg)
    if set(text) <= set("/*"):
        msg = f"{show(text)} would match every field; name at least one"
        raise ValueError(msg)


def manager(text: str) -> None:
    """Check a glob of manager names."""
    if text != text.strip():
        msg = f"{show(text)} has blanks around it; remove them"
        raise ValueError(msg)


_DURATION = re.compile(r"(?:\d{1,9}w)?(?:\d{1,9}d)?(?:\d{1,9}h)?(?:\d{1,9}m)?(?:\d{1,9}s)?", re.ASCII)
_DURATION_NS = {"w": 604_800 * 10**9, "d": 86_400 * 10**9, "h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9}
_SIZE_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_MIN_SIZE, _MAX_SIZE = 1024**2, 64 * 1024**4


def duration(text: Any) -> int:  # noqa: ANN401 - any YAML
    """Read a duration such as `7d`, `36h` or `1h30m`, in weeks, days, hours, minutes, seconds.

    Returns:
        nanoseconds

    Raises:
        ValueError: it is none; the message says what one looks like

    """
    if not (isinstance(text, str) and text and _DURATION.fullmatch(text)):
        msg = f"{show(text)} is no duration; write it with a unit: 30m, 36h or 7d"
        raise ValueError(msg)
    return sum(int(number) * _DURATION_NS[unit] for number, unit in re.findall(r"(\d+)([wdhms])", text))


def size(text: Any) -> int:  # noqa: ANN401 - any YAML
    """Read a size such as `500MiB` or `1.5GiB`, in KiB, MiB, GiB or TiB.

    Returns:
        bytes

    Raises:
        ValueError: it is none; the message says what one looks like

    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([KMGT]iB)", text, re.ASCII) if isinstance(text, str) else None
    if not found:
        msg = f"{show(text)} is no size; write it with a unit: 500MiB or 1GiB"
        raise ValueError(msg)
    return int(float(found[1]) * _SIZE_BYTES[found[2]])


def journal_size(value: Any) -> int:  # noqa: ANN401 - any YAML
    """Read how large the journal may be; bytes."""
    limit = size(value)
    if not _MIN_SIZE <= limit <= _MAX_SIZE:
        msg = f"{show(value)} is not between 1MiB and 64TiB; choose a size in between"
        raise ValueError(msg)
    return limit


def duration_within(least: int, most: int, between: str) -> Parse:
    """Make the reader of a duration within bounds, given in nanoseconds and in words."""

    def read(value: Any) -> int:  # noqa: ANN401 - any YAML
        length = duration(value)
        if not least <= length <= most:
            msg = f"{show(value)} is not between {between}; choose a duration in between"
            raise ValueError(msg)
        return length

    return read


retention = duration_within(60 * 10**9, 3650 * 86_400 * 10**9, "1m and 3650d")
