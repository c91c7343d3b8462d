"""Which findings are not to be told: ignore rules, compiled once, asked for each finding.

A rule covers a finding when everything that it says holds: the object matches, the field is at or below one of its
paths, and so on; what a rule leaves out holds always. A rule that cannot match a type is never asked about objects of
it. Pure, and the date comes from the caller; the only thing that moves here is how often each rule was of use.
"""

from __future__ import annotations

import re
from datetime import date
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import re2
from msgspec import UNSET, Struct

from exporter.changes.pointer import split
from exporter.labels import accepts, read_selector
from exporter.model import WriterClass


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.drift.values import Subject
    from exporter.model import ResourceType
    from exporter.records import Finding

    Test = Callable[[str], bool]

_CORE = frozenset({"v1", "core"})
_REGEX = "re:"
_WILD = frozenset("*?[")
# So many pairs of a type and a path are known, with the rules for them.
_PLACES = 4096
_ITEM = re.compile(r"\[([^=\[\]]+)=(.*)\]", re.DOTALL)


class Match(Struct, frozen=True):
    """Which objects. Globs, or with `re:` in front a regular expression (RE2) that the whole must match.

    Args:
        group: `core` or `v1` is the core group
        version: of the type, as it is watched
        kind, namespace, name: of the object; the namespace is empty for what is cluster-scoped
        labels: a selector as `kubectl -l` takes it
        annotations: the same for annotations

    """

    group: str = "*"
    version: str = "*"
    kind: str = "*"
    namespace: str = "*"
    name: str = "*"
    labels: str = ""
    annotations: str = ""


class IgnoreRule(Struct, frozen=True, kw_only=True):
    """What is not to be told, and why. Whatever is empty says nothing.

    Args:
        reason: why; shown with every finding that it covers
        match: the objects
        paths: JSON Pointers, each with everything below it; `*` is any segment or, inside of one, any characters;
            `**` is any number of segments; `[name=proxy]` is the item of a list with that field, the value a glob
        managers: globs of who owns the live value
        classes: of who owns it; who cannot be named is `unknown`
        when_equal_default: only where the live value is the default of the CRD's schema
        expires: the last day on which it holds

    """

    reason: str
    match: Match = Match()
    paths: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    classes: tuple[WriterClass, ...] = ()
    when_equal_default: bool = False
    expires: date | None = None


class Rules:
    """Knows what is ignored, and counts it.

    Args:
        rules: of the configuration; the first that covers a finding gives the reason
        shipped: asked after those; of these nobody wants to hear that they were of no use

    Raises:
        ValueError: a regular expression or a selector is none

    """

    def __init__(self, rules: Iterable[IgnoreRule], shipped: Iterable[IgnoreRule] = ()) -> None:
        self._own = tuple(_Compiled(rule) for rule in rules)
        self._all = (*self._own, *(_Compiled(rule) for rule in shipped))
        self._at = lru_cache(maxsize=_PLACES)(self._find_at)
        self._of = lru_cache(maxsize=_PLACES)(self._find_of)

    def covers(self, subject: Subject, finding: Finding, *, equals_default: bool, today: date) -> str:
        """Give the reason of the first rule that covers a finding; empty where none does.

        Args:
            subject: the object; list items are looked up in it
            finding: of it, an addition as well
            equals_default: the live value is the default of the schema
            today: in UTC; a rule that expired before covers nothing

        """
        for rule in self._at(subject.type, finding.path):
            if rule.covers(subject, finding, equals_default=equals_default, today=today):
                rule.hits += 1
                return rule.rule.reason
        return ""

    def hits(self) -> dict[str, int]:
        """Give how often each reason was given, those of shipped rules as well."""
        hits: dict[str, int] = {}
        for one in self._all:
            hits[one.rule.reason] = hits.get(one.rule.reason, 0) + one.hits
        return hits

    def unused(self) -> tuple[IgnoreRule, ...]:
        """Give the rules of the configuration that have covered nothing so far."""
        return tuple(one.rule for one in self._own if not one.hits)

    def expired(self, today: date) -> tuple[IgnoreRule, ...]:
        """Give the rules that no longer hold."""
        return tuple(one.rule for one in self._all if one.is_over(today))

    def _find_at(self, type_: ResourceType, path: str) -> tuple[_Compiled, ...]:
        """Give the rules that may cover a finding at a path of any object of a type: mostly there is none."""
        segments = split(path)
        return tuple(rule for rule in self._of(type_) if rule.may_be_at(segments))

    def _find_of(self, type_: ResourceType) -> tuple[_Compiled, ...]:
        return tuple(rule for rule in self._all if rule.fits(type_))


class _Compiled:
    """A rule, ready to be asked."""

    __slots__ = (
        "_annotations", "_beginnings", "_classes", "_group", "_is_manager", "_kind", "_labels", "_name", "_namespace",
        "_paths", "_version", "hits", "rule",
    )  # fmt: skip

    def __init__(self, rule: IgnoreRule) -> None:
        match = rule.match
        self.rule = rule
        self.hits = 0
        self._group = compile_text("" if match.group in _CORE else match.group)
        self._version = compile_text(match.version)
        self._kind = compile_text(match.kind)
        self._namespace = compile_text(match.namespace)
        self._name = compile_text(match.name)
        self._labels = read_selector(match.labels) if match.labels else ()
        self._annotations = read_selector(match.annotations) if match.annotations else ()
        self._paths = tuple(tuple(map(_segment, split(path))) for path in rule.paths)
        # What every field that it can cover begins with: most fields are told apart by that alone.
        self._beginnings = tuple(re.split(r"[*\[]", path, maxsplit=1)[0] for path in rule.paths) or ("",)
        managers = tuple(compile_text(glob) for glob in rule.managers)
        self._is_manager = lru_cache(maxsize=1024)(lambda name: any(test(name) for test in managers))
        self._classes = frozenset(rule.classes)

    def fits(self, type_: ResourceType) -> bool:
        return self._group(type_.group) and self._version(type_.version) and self._kind(type_.kind)

    def may_be_at(self, segments: Sequence[str]) -> bool:
        return not self._paths or any(_is_below(pattern, segments, 0) for pattern in self._paths)

    def is_over(self, today: date) -> bool:
        return self.rule.expires is not None and today > self.rule.expires

    def covers(self, subject: Subject, finding: Finding, *, equals_default: bool, today: date) -> bool:
        """Tell whether it covers a finding in an object whose type it fits; the cheap questions first."""
        if not finding.path.startswith(self._beginnings):
            return False
        if (self.rule.when_equal_default and not equals_default) or self.is_over(today):
            return False
        writer = finding.writer
        if self._classes and ((writer.class_ if writer else UNSET) or "unknown") not in self._classes:
            return False
        if self.rule.managers and not (writer and writer.name and self._is_manager(writer.name)):
            return False
        return self._holds_of(subject) and (not self._paths or self._is_at(subject, finding))

    def _holds_of(self, subject: Subject) -> bool:
        key, metadata = subject.key, subject.version.metadata
        return (
            self._namespace(key.namespace)
            and self._name(key.name)
            and (not self._labels or accepts(self._labels, metadata.get("labels") or {}))
            and (not self._annotations or accepts(self._annotations, metadata.get("annotations") or {}))
        )

    def _is_at(self, subject: Subject, finding: Finding) -> bool:
        place = _Place(subject, finding)
        return any(_is_below(pattern, place.segments, 0, place) for pattern in self._paths)


class _Place:
    """Where a finding is, and what stands on the way to it: looked up only for rules that ask for list items."""

    __slots__ = ("_finding", "_subject", "segments")

    def __init__(self, subject: Subject, finding: Finding) -> None:
        self.segments = split(finding.path)
        self._subject = subject
        self._finding = finding

    def value(self, depth: int) -> Any:  # noqa: ANN401 - any JSON
        """Give what stands after so many segments; UNSET where nothing does."""
        if depth == len(self.segments) and self._finding.finding == "missing":
            return self._finding.declared  # its index is that of the declared list
        value = self._subject.version.get(self.segments[0], UNSET)
        for segment in self.segments[1:depth]:
            if isinstance(value, dict):
                value = value.get(segment, UNSET)
            elif isinstance(value, list) and segment.isdecimal() and int(segment) < len(value):
                value = value[int(segment)]
            else:
                return UNSET
        return value


class _Item(Struct, frozen=True):
    """Stands for the item of a list in which a field has a value."""

    key: str
    test: Any

    def is_at(self, place: _Place, depth: int) -> bool:
        item = place.value(depth)
        if not isinstance(item, dict) or self.key not in item:
            return False
        held = item[self.key]
        text = held if isinstance(held, str) else msgspec.json.encode(held).decode()
        return bool(self.test(text))


def _is_below(pattern: Sequence[Any], segments: Sequence[str], depth: int, place: _Place | None = None) -> bool:
    """Tell whether what is left of a pattern names a field, or something around it, from a depth on.

    Without an object to look it up in, any item of a list may be the one that is asked for.
    """
    if not pattern:
        return True
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return any(_is_below(rest, segments, further, place) for further in range(depth, len(segments)))
    if depth == len(segments):
        return False
    segment = segments[depth]
    if isinstance(first, _Item):
        here = place is None or first.is_at(place, depth + 1)
    elif isinstance(first, str):
        here = first in ("*", segment)
    else:
        here = first.fullmatch(segment) is not None
    return here and _is_below(rest, segments, depth + 1, place)


def _segment(text: str) -> str | _Item | re.Pattern[str]:
    item = _ITEM.fullmatch(text)
    if item is not None:
        return _Item(item[1], compile_text(item[2]))
    if text not in ("*", "**") and "*" in text:
        return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
    return text


def compile_text(pattern: str) -> Test:
    """Compile a glob, or with `re:` in front a regular expression, to a question about a whole text.

    Raises:
        ValueError: it is no regular expression

    """
    if pattern == "*":
        return _anything
    if pattern.startswith(_REGEX):
        regex = _regex(pattern.removeprefix(_REGEX))
        return lambda text: regex.fullmatch(text) is not None
    if not _WILD & set(pattern):
        return pattern.__eq__
    glob = re.compile(translate(pattern))
    return lambda text: glob.match(text) is not None


def _anything(_: str) -> bool:
    return True


def _regex(text: str) -> Any:  # noqa: ANN401 - untyped package
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        told = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        msg = f"{text[:80]!r} is no regular expression ({told}); write one in the syntax of RE2"
        raise ValueError(msg) from error
