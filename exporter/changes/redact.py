"""Secrets are taken out here, once, before anything is stored; every byte that leaves comes from what this returns.

A value that is found sensitive is replaced by a marker that holds a keyed hash of it, so that a change of the value
is still seen as one; `mask` turns markers into `<redacted>` for whatever is shown. What counts as sensitive:

* `data` and `stringData` of core Secrets, whatever they hold;
* strings under a key whose words end in a sensitive one (`adminPassword`, `api_key`), never `…Name` or `…Ref`, and
  the `value` beside such a `name` in a list of variables;
* strings, or parts of them, of a known shape: JWTs, private keys, cloud keys, tokens, URLs with user info;
* what the CRD's schema declares as `format: password`, and the pointers of the configuration.

Last-applied annotations are JSON in a string: they are redacted as the objects they hold. This module must never
keep, log or raise with a value it was given.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import re2

from exporter.changes.pointer import Pattern, below, compile_patterns


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


MASK = "<redacted>"
# The fence is a private-use character: no encoder escapes it, so a marker also survives inside JSON in a string.
_FENCE = "\uf8f5"
_MARKER = re.compile(f"{_FENCE}redacted:[0-9a-f]{{16}}{_FENCE}")
_APPLIED_SUFFIX = "last-applied-configuration"

_SENSITIVE_LAST = frozenset(
    {
        "password", "passwords", "passwd", "passwds", "passphrase", "passphrases", "pwd", "pass", "secret", "secrets",
        "token", "tokens", "credential", "credentials", "creds", "apikey", "apikeys", "dsn", "jwt", "bearer",
        "htpasswd", "kubeconfig",
    }
)  # fmt: skip
_SENSITIVE_PAIRS = frozenset(
    {
        ("api", "key"), ("api", "keys"), ("access", "key"), ("private", "key"), ("secret", "key"), ("signing", "key"),
        ("encryption", "key"), ("master", "key"), ("account", "key"), ("shared", "key"), ("storage", "key"),
        ("ssh", "key"), ("license", "key"), ("auth", "key"), ("connection", "string"), ("connection", "uri"),
        ("connection", "url"), ("docker", "configjson"), ("private", "pem"), ("session", "cookie"),
    }
)  # fmt: skip
# So begin the keys in managedFields that hold a value of a set, or the keys of an entry of a list-map.
_ENTRY = frozenset({"v:", "k:"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# A shape, and the literals of which one must occur in the raw JSON for the shape to be possible. The literals are
# what makes the common case cheap: an object in which none of them occurs is not searched any further.
_SHAPES: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    (r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", (b"eyJ",)),
    (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*-----|\Z)", (b"-----BEGIN",)),
    # the same in base64, whatever is not a certificate, a public key or a certificate request
    (r"LS0tLS1CRUdJTi(?!BDRVJU|BQVUJMSUM|BYNTA5|BUUlVT)[\w+/=]{16,}", (b"LS0tLS1CRUdJTi",)),
    (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", (b"AKIA", b"ASIA", b"ABIA", b"ACCA")),
    (r"\bAIza[\w-]{35}", (b"AIza",)),
    (r"\bya29\.[\w-]{20,}", (b"ya29.",)),
    (r"\bgh[pousr]_\w{30,}", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")),
    (r"\bgithub_pat_\w{20,}", (b"github_pat_",)),
    (r"\bgl(?:pat|dt|rt|ptt|cbt|oas|soat|agent)-[\w-]{20,}", (b"glpat-", b"gldt-", b"glrt-", b"glptt-", b"glcbt-",
                                                               b"gloas-", b"glsoat-", b"glagent-")),
    (r"\bxox[a-z]-[\w-]{10,}", (b"xox",)),
    (r"hooks\.slack\.com/services/[\w/]+", (b"hooks.slack.com",)),
    (r"\b[srp]k_(?:live|test)_\w{16,}", (b"k_live_", b"k_test_")),
    (r"\bnpm_\w{36}", (b"npm_",)),
    (r"\bpypi-[\w-]{20,}", (b"pypi-",)),
    (r"\bsk-[\w-]{20,}", (b"sk-",)),
    (r"\bhv[sbr]\.[\w-]{20,}", (b"hvs.", b"hvb.", b"hvr.")),
    (r"\bdo[opr]_v1_[0-9a-f]{64}", (b"_v1_",)),
    (r"\bSG\.[\w-]{16,}\.[\w-]{16,}", (b"SG.",)),
    (r"\bhf_\w{30,}", (b"hf_",)),
    (r"\$2[aby]?\$\d\d\$[./\w]{53}", (b"$2",)),
    (r"\$(?:5|6|y|argon2id?)\$[^\s:]{20,}", (b"$5$", b"$6$", b"$y$", b"$argon2")),
    (r"\bage-secret-key-1\w{50,}", (b"age-secret-key-", b"AGE-SECRET-KEY-")),
    (r"(?<=://)[^\s/?#@\"']*:[^\s/?#@\"']+(?=@)", (b"://",)),
    (
        (
            r"(?i:(?<=accountkey=)|(?<=sharedaccesskey=)|(?<=[?&;]sig=)|(?<=[?&]token=)|(?<=x-amz-signature=))"
            r"[\w+/=%.-]{8,}"
        ),
        (b"accountkey=", b"sharedaccesskey=", b"sig=", b"token=", b"x-amz-signature="),
    ),
    (r"(?i:(?<=bearer )|(?<=basic ))[\w+/=.~-]{12,}", (b"bearer ", b"basic ")),
    (
        (
            r"(?i:(?<=password=)|(?<=password: )|(?<=password:)|(?<=passwd=)|(?<=pwd=)|(?<=secret=)|(?<=token=)"
            r"|(?<=api_key=)|(?<=apikey=))[^\s\"',;&<>]+"
        ),
        (b"password=", b"password:", b"passwd=", b"pwd=", b"secret=", b"token=", b"api_key=", b"apikey="),
    ),
)  # fmt: skip
_SHAPE = re.compile("|".join(f"(?:{shape})" for shape, _ in _SHAPES))
# Without one of these stems in the raw JSON no key of it can be sensitive.
_KEY_STEMS = (b"pass", b"pwd", b"secret", b"token", b"cred", b"key", b"dsn", b"jwt", b"bearer", b"kubeconfig",
              b"connection", b"configjson", b"pem", b"cookie")  # fmt: skip


def _any_of(literals: Iterable[bytes]) -> Callable[[bytes], object]:
    """Compile a search for any of several literals, in upper or lower case, in one pass over bytes."""
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.encoding = re2.Options.Encoding.LATIN1
    found = re2.Set.SearchSet(options)  # says whether, not where, which takes half the time of a pattern's `search`
    found.Add(b"|".join(re2.escape(literal) for literal in literals))
    found.Compile()
    search: Callable[[bytes], object] = found.Match
    return search


# A server that escapes letters or slashes could hide a literal from the search: then every string is looked at.
_may_hold_shape = _any_of({b"\\u", b"\\/"}.union(*(literals for _, literals in _SHAPES)))
# The usual answer is no to both: one pass gives it.
_may_hold_any = _any_of({*_KEY_STEMS, b"\\u", b"\\/"}.union(*(literals for _, literals in _SHAPES)))


class Redactor:
    """Takes the secrets out of objects.

    Args:
        key: of the keyed hash; kept beside the journal, never shown
        pointers: JSON Pointers to redact in every type; `*` stands for one segment, `**` for any number

    Attributes:
        count: values replaced so far
        has_rules: there are pointers, which may be others than when a version was stored

    """

    def __init__(self, key: bytes, pointers: Iterable[str] = ()) -> None:
        self._key = key
        self._patterns = compile_patterns(pointers)
        self.has_rules = bool(self._patterns)
        self._declared: tuple[Pattern, ...] = ()  # of the object at hand, for the copy of it in its annotation
        self._by_place = False  # some fields of it are secret by their place
        self.count = 0

    def redact(
        self, obj: dict[str, Any], raw: bytes, *, secret: bool = False, passwords: tuple[Pattern, ...] = ()
    ) -> dict[str, Any]:
        """Give the object without its secrets: the same one where it has none, else a copy.

        Args:
            obj: the decoded object
            raw: the JSON it was decoded from; only searched, to find out cheaply that there is nothing to do
            secret: it is a core Secret
            passwords: patterns of the fields that its schema declares as passwords

        """
        self._declared = passwords
        patterns = self.names(secret=secret, passwords=passwords)
        self._by_place = bool(patterns)
        if not patterns and not _may_hold_any(raw):
            return obj
        shapes = bool(_may_hold_shape(raw))
        redacted: dict[str, Any] = self._mapping(obj, patterns, shapes=shapes)
        return redacted

    def names(self, *, secret: bool, passwords: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
        """Give the patterns of the fields that are secret by their place; arguments as for `redact`."""
        return self._patterns + passwords + (_SECRET_PATTERNS if secret else ())

    def _mapping(
        self, value: dict[str, Any], patterns: tuple[Pattern, ...], *, shapes: bool, within: str = ""
    ) -> dict[str, Any]:
        copy: dict[str, Any] | None = None
        for key, item in value.items():
            deeper = below(patterns, key) if patterns else ()
            if () in deeper:
                new = self._all(item)
            elif isinstance(item, str):
                new = self._string(key, item, shapes=shapes)
            elif isinstance(item, dict):
                new = self._mapping(item, deeper, shapes=shapes, within=key) if item else item
            elif isinstance(item, list):
                new = self._list(key, item, deeper, shapes=shapes)
            else:
                new = item
            shown = self._shown(key, within, shapes=shapes)
            if new is not item or shown is not key:
                if copy is None:
                    copy = dict(value)
                if shown is not key:
                    del copy[key]
                copy[shown] = new
        named = value.get("name")
        if isinstance(named, str) and isinstance(value.get("value"), str) and _is_sensitive(named):
            copy = copy or dict(value)
            copy["value"] = self._marker(value["value"])
        return value if copy is None else copy

    def _shown(self, key: str, within: str, *, shapes: bool) -> str:
        if key[:2] in _ENTRY and (self._by_place or _is_sensitive(within)):
            return key[:2] + self._marker(key[2:])
        return self._pieces(key) if shapes else key

    def _list(self, key: str, value: list[Any], patterns: tuple[Pattern, ...], *, shapes: bool) -> list[Any]:
        copy: list[Any] | None = None
        for index, item in enumerate(value):
            deeper = below(patterns, str(index)) if patterns else ()
            if () in deeper:
                new = self._all(item)
            elif isinstance(item, str):
                new = self._string(key, item, shapes=shapes)
            elif isinstance(item, dict):
                new = self._mapping(item, deeper, shapes=shapes)
            elif isinstance(item, list):
                new = self._list(key, item, deeper, shapes=shapes)
            else:
                continue
            if new is not item:
                copy = copy or list(value)
                copy[index] = new
        return value if copy is None else copy

    def _string(self, key: str, value: str, *, shapes: bool) -> str:
        if key.endswith(_APPLIED_SUFFIX):
            return self._applied(value)
        if _is_sensitive(key) and value:
            return self._marker(value)
        if value.lstrip()[:1] in ("{", "["):
            value = self._document(value, shapes=shapes)
        return self._pieces(value) if shapes else value

    def _applied(self, value: str) -> str:
        """Redact the object inside a last-applied annotation; one that is no object is replaced as a whole."""
        try:
            obj = msgspec.json.decode(value)
            if not isinstance(obj, dict):
                return self._marker(value)
            secret = obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1"
            patterns = self.names(secret=secret, passwords=self._declared)
            redacted = self._mapping(obj, patterns, shapes=True)
        except (msgspec.DecodeError, RecursionError):
            return self._marker(value)
        return value if redacted is obj else msgspec.json.encode(redacted).decode()

    def _document(self, value: str, *, shapes: bool) -> str:
        """Redact JSON in a string by its keys; what is none is left to the shapes."""
        try:
            held = [msgspec.json.decode(value)]
            redacted = self._list("", held, (), shapes=shapes)
            return value if redacted is held else msgspec.json.encode(redacted[0]).decode()
        except msgspec.DecodeError:
            return value
        except RecursionError:
            return self._marker(value)

    def _all(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Replace every leaf that carries something."""
        if isinstance(value, dict):
            return {key: self._all(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._all(item) for item in value]
        if value is None or isinstance(value, bool) or value == "":
            return value
        return self._marker(str(value))

    def _pieces(self, value: str) -> str:
        if len(value) < 8:  # noqa: PLR2004 - no shape is shorter
            return value
        return _SHAPE.sub(lambda found: self._marker(found[0]), value)

    def _marker(self, value: str) -> str:
        if _MARKER.fullmatch(value):
            return value
        self.count += 1
        digest = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return mark(digest)


def mark(digest: str) -> str:
    """Write what stands in the place of a value: it is shown as `<redacted>`, and differs where the digest does."""
    return f"{_FENCE}redacted:{digest[:16]}{_FENCE}"


def may_hold_secret(parts: Iterable[bytes | msgspec.Raw]) -> bool:
    """Tell cheaply whether parts of an object, names of fields and their JSON, may hold a secret or name one."""
    return bool(_may_hold_any(b"\n".join(parts)))


def redact_text(text: str) -> str:
    """Redact a message that came in no object, such as an error text of a server, for showing."""
    return _SHAPE.sub(MASK, text)


def mask(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Turn the markers in a value, and in the keys of one, into `<redacted>`."""
    if isinstance(value, str):
        return _MARKER.sub(MASK, value) if _FENCE in value else value
    if isinstance(value, dict):
        return {mask(key): mask(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    return value


@lru_cache(maxsize=8192)
def _is_sensitive(key: str) -> bool:
    """Tell by its words whether a key names a secret: the last word decides, or the last two together."""
    words = [word.lower() for word in _WORD.findall(key)]
    if not words:
        return False
    if words[-1] in _SENSITIVE_LAST:
        return True
    return len(words) > 1 and (words[-2], words[-1]) in _SENSITIVE_PAIRS


_SECRET_PATTERNS = compile_patterns(("/data", "/stringData"))
