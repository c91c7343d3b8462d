"""Basic authentication: headers that are none, hashes that take their time, and what is remembered of them."""

from __future__ import annotations

import asyncio
import base64
import threading

import bcrypt
import pytest

from exporter.web import users
from exporter.web.door import Bucket
from exporter.web.users import BusyError, Doorkeeper, nobody


def hashed(password: bytes, cost: int = 4) -> str:
    """Hash a password."""
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


def basic(text: bytes) -> str:
    """Write a header."""
    return f"Basic {base64.b64encode(text).decode()}"


USERS = {"alice": hashed(b"right"), "bob": hashed("pässword".encode())}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, str]]:
    """What is computed: password and hash."""
    found: list[tuple[bytes, str]] = []
    compute = users._matches

    def matches(password: bytes, against: str) -> bool:
        found.append((password, against))
        return compute(password, against)

    monkeypatch.setattr(users, "_matches", matches)
    return found


@pytest.mark.parametrize(
    "header",
    [
        "", "Basic", "Basic ", "Basic !!!", "Basic YWxpY2U6cmlnaHQ", "Bearer YWxpY2U6cmlnaHQ=", "YWxpY2U6cmlnaHQ=",
        basic(b"alice"), basic(b""), basic(b":"), basic(b"alice:"), basic(b":right"), basic(b"\xff:right"),
        basic(b"alice:right "), basic(b"alice :right"), basic(b"ALICE:right"), basic(b"alice:wrong"),
        basic(b"mallory:right"), basic(b"alice:right\0"), basic(b"alice:ri\0ght"), basic(b"alice:" + b"x" * 73),
        basic(b"alice:" + b"x" * 100_000), basic(b"alice:\xff\xfe"),
    ],
)  # fmt: skip
async def test_who_is_not_known_stays_outside(header: str) -> None:
    """Whatever is wrong, the answer is no, and never an error."""
    assert not await Doorkeeper().admits(USERS, header)


@pytest.mark.parametrize("header", [basic(b"alice:right"), basic("bob:pässword".encode()), "bAsIc YWxpY2U6cmlnaHQ="])
async def test_who_is_known_gets_in(header: str) -> None:
    """The scheme in any case, the password in any characters."""
    assert await Doorkeeper().admits(USERS, header)


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
async def test_hashes_of_any_tool_are_understood(prefix: str) -> None:
    """As htpasswd, Python and others write them."""
    assert await Doorkeeper().admits({"a": f"${prefix}${hashed(b'x')[4:]}"}, basic(b"a:x"))


async def test_a_password_that_only_begins_as_the_right_one_is_wrong() -> None:
    """The library looks at 72 bytes; one that is longer cannot have been hashed as a whole."""
    assert not await Doorkeeper().admits({"a": hashed(b"x" * 72)}, basic(b"a:" + b"x" * 73))
    assert await Doorkeeper().admits({"a": hashed(b"x" * 72)}, basic(b"a:" + b"x" * 72))


async def test_nobody_takes_as_long_as_somebody(computed: list[tuple[bytes, str]]) -> None:
    """For a name that is not there a hash of the same cost is computed, and matches nothing."""
    some = {"a": hashed(b"x"), "b": hashed(b"x", 6)}
    assert not await Doorkeeper().admits(some, basic(b"mallory:x"))
    assert computed == [(b"x", nobody(some))]
    assert nobody(some).startswith("$2b$06$")


async def test_what_is_proved_is_computed_once(computed: list[tuple[bytes, str]]) -> None:
    """A right password is remembered, a wrong one is computed each time."""
    keeper = Doorkeeper()
    for _ in range(3):
        assert await keeper.admits(USERS, basic(b"alice:right"))
    assert len(computed) == 1
    for _ in range(2):
        assert not await keeper.admits(USERS, basic(b"alice:wrong"))
    assert len(computed) == 3


async def test_what_is_proved_of_one_hash_is_not_of_another() -> None:
    """Another hash of the user, or the same of another user, is computed again; no two parts run together."""
    keeper = Doorkeeper()
    one = hashed(b"right")
    assert await keeper.admits({"alice": one}, basic(b"alice:right"))
    assert not await keeper.admits({"alice": hashed(b"other")}, basic(b"alice:right"))
    assert not await keeper.admits({}, basic(b"alice:right"))
    assert not await keeper.admits({"alic": f"e{one}"}, basic(b"alic:right"))
    assert not await keeper.admits({"alice": one}, basic(b"alice:rightx"))


async def test_nobody_pushes_out_who_was_let_in(computed: list[tuple[bytes, str]]) -> None:
    """However many wrong ones are tried: only what was proved is remembered, and of that the latest hundred."""
    keeper = Doorkeeper()
    assert await keeper.admits(USERS, basic(b"alice:right"))
    for number in range(150):
        assert not await keeper.admits(USERS, basic(b"alice:%d" % number))
    computed.clear()
    assert await keeper.admits(USERS, basic(b"alice:right"))
    assert computed == []
    many = {f"u{number}": USERS["alice"] for number in range(101)}
    for name in many:
        assert await keeper.admits(many, basic(f"{name}:right".encode()))
    assert len(keeper._proven) == 100


async def test_a_hash_is_computed_beside_the_loop_and_no_more_than_some_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time, in a thread; who comes when too many wait is told so, and who was let in before is not."""
    keeper = Doorkeeper(waiting=3)
    assert await keeper.admits(USERS, basic(b"alice:right"))
    go, at_work, most = threading.Event(), [0], [0]

    def slow(password: bytes, against: str) -> bool:
        del password, against
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        go.wait(20)
        at_work[0] -= 1
        return False

    monkeypatch.setattr(users, "_matches", slow)
    waiting = [asyncio.create_task(keeper.admits(USERS, basic(b"alice:%d" % number))) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await keeper.admits(USERS, basic(b"alice:more"))
    assert await keeper.admits(USERS, basic(b"alice:right"))
    go.set()
    assert await asyncio.gather(*waiting) == [False] * 3
    assert most == [1]
    assert not await keeper.admits(USERS, basic(b"alice:more"))


def test_a_bucket_gives_back_one_each_interval() -> None:
    """The burst at once, then one for each interval that has passed, and never more than the burst."""
    now = 100.0
    bucket = Bucket(2.0, 3, lambda: now)

    def taken(times: int) -> int:
        return sum(bucket.take() for _ in range(times))

    assert taken(5) == 3
    now += 1.9
    assert taken(1) == 0
    now += 0.2
    assert taken(2) == 1
    now += 1000
    assert taken(5) == 3


def test_a_bucket_without_an_interval_is_never_empty() -> None:
    """Then nothing is limited."""
    assert all(Bucket(0.0, 1).take() for _ in range(1000))
