"""The proxy itself: what it passes on is untouched, and every way of spoiling it does what it says."""

from __future__ import annotations

import copy
import http.client
import json
import socket
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

from tests.faults.proxy import Asked, Instead, Proxy, is_list, is_watch
from tests.waiting import eventually


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.launch import Cluster

MAPS = "/api/v1/namespaces/default/configmaps"
JSON = {"Content-Type": "application/json"}
_SECONDS = 30.0
_CLOSED = b"\x07"  # TCP_CLOSE of the kernel's TCP_INFO


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy in front of the shared cluster."""
    with Proxy(cluster, tmp_path / "proxy") as running:
        yield running


def is_reset(connection: socket.socket) -> bool:
    """Whether a connection is gone by RST: after FIN it would be half open. Python's TLS calls both an end."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _CLOSED


class Client:
    """Plain connections through a proxy, all of which the end of `with` closes."""

    def __init__(self, proxy: Proxy) -> None:
        """Prepare; nothing is connected yet."""
        self._proxy = proxy
        self._stack = ExitStack()
        self._sockets: dict[http.client.HTTPResponse, socket.socket] = {}

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all."""
        self._stack.close()

    def connect(self) -> http.client.HTTPSConnection:
        """Connect, with the handshake done."""
        trust = ssl.create_default_context(cafile=self._proxy.ca_file)
        port = int(self._proxy.url.rpartition(":")[2])
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=_SECONDS, context=trust)
        self._stack.callback(connection.close)
        connection.connect()
        return connection

    def send(
        self, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Ask on a connection of its own, and read the head of the answer."""
        connection = self.connect()
        taken = connection.sock
        connection.request(method, path, None if body is None else json.dumps(body), JSON | (headers or {}))
        answer = self._stack.enter_context(connection.getresponse())
        self._sockets[answer] = taken
        return answer

    def is_reset(self, answer: http.client.HTTPResponse) -> bool:
        """Whether the connection of an answer was reset; see `is_reset`."""
        return is_reset(self._sockets[answer])

    def ask(self, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Ask on a connection of its own, and read the whole answer."""
        answer = self.send(path, method, body, headers)
        return Answer(answer.status, answer.read())

    def write(self, name: str) -> None:
        """Make an object."""
        answer = self.ask(MAPS, "POST", {"metadata": {"name": name}})
        assert answer.status == 201, answer.body

    def watch(self) -> http.client.HTTPResponse:
        """Open a watch of what happens to config maps from now on."""
        version = json.loads(self.ask(f"{MAPS}?limit=1").body)["metadata"]["resourceVersion"]
        return self.send(f"{MAPS}?watch=true&resourceVersion={version}")


class Answer(NamedTuple):
    """Of one request."""

    status: int
    body: bytes


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    """A client of the proxy."""
    with Client(proxy) as one:
        yield one


def line(stream: http.client.HTTPResponse) -> tuple[str, str]:
    """Read one line of a watch: its type and the object's name."""
    event = json.loads(stream.readline())
    return event["type"], event["object"]["metadata"]["name"]


@pytest.mark.parametrize(
    ("path", "query", "what"),
    [
        ("/apis/example.com/v1/things", {}, "list"),
        ("/apis/example.com/v1/things", {"limit": "500", "continue": "x"}, "list"),
        ("/apis/example.com/v1/namespaces/one/things", {}, "list"),
        ("/api/v1/namespaces", {}, "list"),
        ("/apis/example.com/v1/things", {"watch": "1"}, "watch"),
        ("/apis/example.com/v1/things", {"watch": "true", "sendInitialEvents": "true"}, "watch"),
        ("/apis/example.com/v1/things", {"watch": "false"}, "list"),
        ("/apis/example.com/v1/namespaces/one/things/name", {}, ""),
        ("/api/v1/namespaces/kube-system", {}, ""),
        ("/apis/example.com/v1", {}, ""),
        ("/version", {}, ""),
        ("/openapi/v3/apis/example.com", {}, ""),
    ],
)
def test_lists_and_watches_are_told_from_the_rest(path: str, query: dict[str, str], what: str) -> None:
    """A list is that of a collection, a watch is no list, and an object or a document is neither."""
    asked = Asked(0.0, "GET", path, query)
    assert (what == "list", what == "watch") == (is_list(asked), is_watch(asked))


def test_answers_pass_as_they_are(cluster: Cluster, proxy: Proxy, client: Client) -> None:
    """A compressed answer arrives compressed, with its headers, and the request is known as it was asked."""
    path = "/api/v1/namespaces/kube-system?pretty=true"
    straight = cluster.kubectl("get", "--raw", path).encode()
    assert straight == client.ask(path).body
    answer = client.send("/openapi/v2", headers={"Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["Content-Encoding"], answer.read()[:2]) == (200, "gzip", b"\x1f\x8b")
    expected = [("GET", "/api/v1/namespaces/kube-system", {"pretty": "true"}), ("GET", "/openapi/v2", {})]
    assert expected == [asked[1:] for asked in proxy.asked]


def test_whoever_says_who_he_is_is_not_the_admin(client: Client) -> None:
    """The admin's certificate is for those who send no credentials; a token is judged by the server."""
    assert client.ask(MAPS).status == 200
    assert client.ask(MAPS, headers={"Authorization": "Bearer nobody"}).status == 401


def test_cut_resets_every_connection(proxy: Proxy, client: Client) -> None:
    """A watch, an idle connection and one at its handshake are reset at once, and a new one works."""
    stream, idle = client.watch(), client.connect()
    with socket.create_connection(("127.0.0.1", idle.port), _SECONDS) as greeting:
        client.write("before-cut")
        assert line(stream) == ("ADDED", "before-cut")
        proxy.cut()
        eventually(lambda: client.is_reset(stream) and is_reset(idle.sock) and is_reset(greeting))
    assert client.ask(MAPS).status == 200


def test_down_refuses_until_up(proxy: Proxy, client: Client) -> None:
    """While it is down open connections are reset and new ones refused; up again it has the same port."""
    stream = client.watch()
    for _ in range(2):
        proxy.down()
        with pytest.raises(ConnectionRefusedError):
            client.connect()
    eventually(lambda: client.is_reset(stream))
    for _ in range(2):
        proxy.up()
        assert client.ask(MAPS).status == 200


def test_stall_holds_both_directions(cluster: Cluster, proxy: Proxy, client: Client) -> None:
    """While it stalls no event and no request comes through; then all of it does, on the same connections."""
    stream, sending = client.watch(), client.connect()
    proxy.stall()
    cluster.kubectl("create", "configmap", "while-stalled")
    sending.request("POST", MAPS, json.dumps({"metadata": {"name": "held-back"}}), JSON)
    eventually(lambda: proxy.asked[-1].method == "POST")
    sending.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        sending.sock.recv(1)
    assert "held-back" not in cluster.kubectl("get", "configmaps", "-o", "name")
    proxy.go_on()
    sending.sock.settimeout(_SECONDS)
    with sending.getresponse() as answer:
        assert answer.status == 201
    assert [line(stream) for _ in range(2)] == [("ADDED", "while-stalled"), ("ADDED", "held-back")]


def test_dribble_passes_small_pieces(proxy: Proxy, client: Client) -> None:
    """An answer comes in pieces of the size asked for, and is complete; each part that the server gives has a rest."""

    def pieces() -> list[bytes]:
        answer = client.send("/api/v1")
        return list(iter(lambda: answer.read1(1 << 16), b""))

    whole = client.ask("/api/v1")
    proxy.dribble(100, 0.0)
    of_the_server = pieces()
    assert whole.body == b"".join(of_the_server)
    assert max(map(len, of_the_server)) == 100
    proxy.instead(Instead(200, b"x" * 1_050))
    assert list(map(len, pieces())) == [100] * 10 + [50]
    proxy.dribble(0, 0.0)
    assert whole == client.ask("/api/v1")
    proxy.instead(Instead(200, b"x" * 1_050))
    assert list(map(len, pieces())) == [1_050]


def test_an_answer_in_the_place_of_the_server(proxy: Proxy, client: Client) -> None:
    """So many matching requests are answered by the proxy, with its status, headers and body; the others are not."""
    proxy.instead(Instead(503, b"{}", {"Retry-After": "7"}), times=2, when=is_list)
    assert client.ask(f"{MAPS}/none").status == 404
    answer = client.send(MAPS)
    assert (answer.status, answer.read(), answer.headers["Retry-After"]) == (503, b"{}", "7")
    assert [client.ask(MAPS).status for _ in range(2)] == [503, 200]
    proxy.instead(Instead(500), times=9)
    proxy.instead(None)
    assert client.ask(MAPS).status == 200


@pytest.mark.parametrize("size", [10, 8_000_000])
def test_an_answer_that_is_cut_arrives_up_to_there(proxy: Proxy, client: Client, size: int) -> None:
    """All of the body comes, and in place of its end the reset."""
    proxy.instead(Instead(200, b"x" * size, cut=True))
    answer = client.send(MAPS)
    assert size == len(answer.read(size))
    eventually(lambda: client.is_reset(answer))


def test_lines_of_a_watch_are_altered(proxy: Proxy, client: Client) -> None:
    """A line of a stream that is open already can be dropped, doubled, or be the last one before a reset."""
    fates: dict[str, list[bytes | None]] = {"dropped": [], "doubled": [b"1", b"2"], "last": [b"3", None]}

    def change(text: bytes) -> list[bytes | None]:
        return fates.get(json.loads(text)["object"]["metadata"]["name"], [text])

    stream = client.watch()
    client.write("before")
    assert line(stream) == ("ADDED", "before")
    proxy.alter(change, when=lambda asked: asked.path == MAPS)
    for name in ("dropped", "doubled", "after"):
        client.write(name)
    assert [stream.readline(), stream.readline(), line(stream)] == [b"1\n", b"2\n", ("ADDED", "after")]
    client.write("last")
    assert stream.readline() == b"3\n"
    eventually(lambda: client.is_reset(stream))
    proxy.alter(None)
    stream = client.watch()
    client.ask(f"{MAPS}/dropped", "DELETE")
    assert line(stream) == ("DELETED", "dropped")


def test_what_fails_in_the_proxy_is_told(cluster: Cluster, tmp_path: Path) -> None:
    """An error in a test's own function resets the request, and the end of the block raises it."""

    def wrong(_: Asked) -> bool:
        raise ZeroDivisionError

    def block() -> None:
        with Proxy(cluster, tmp_path) as proxy, Client(proxy) as client:
            proxy.instead(Instead(200), when=wrong)
            with pytest.raises(ConnectionResetError):
                client.ask(MAPS)

    with pytest.raises(ZeroDivisionError):
        block()


def test_a_server_that_is_away_resets(cluster: Cluster, tmp_path: Path) -> None:
    """Where the server does not take the connection the client's is reset, and nothing is told as an error."""
    away = copy.copy(cluster)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        away.url = f"https://127.0.0.1:{taken.getsockname()[1]}"
        with Proxy(away, tmp_path) as proxy, Client(proxy) as client, pytest.raises(ConnectionResetError):
            client.ask(MAPS)
