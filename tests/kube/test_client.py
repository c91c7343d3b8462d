"""Requests to the API server: every trouble has its sentence, and every answer comes as it was sent."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gzip
import json
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import trustme
import yaml

from exporter.errors import ApiError, ClusterError, ExpiredError, NetworkError
from exporter.kube import auth
from exporter.kube.answers import api_error
from exporter.kube.client import Api
from tests.scripted import ABORT, CLOSE, STALL, Reply, Request, Server, Step, serve


if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATH = "/apis/example.com/v1/widgets"
Headers = dict[str, str]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the proxy of whoever runs the tests out of them."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def kubeconfig(path: Path, server: str, user: dict[str, Any] | None, cluster: dict[str, Any] | None) -> str:
    """Write a kubeconfig for a server, and give its path."""
    content = {
        "current-context": "one",
        "clusters": [{"name": "one", "cluster": {"server": server} | (cluster or {})}],
        "users": [{"name": "one", "user": user or {"token": "t"}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    }
    (path / "config").write_text(yaml.safe_dump(content))
    return str(path / "config")


@asynccontextmanager
async def connected(
    path: Path, server: str, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None
) -> AsyncIterator[Api]:
    """Connect to a server with a kubeconfig of one context."""
    loaded = await auth.load(kubeconfig(path, server, user, cluster))
    async with Api.connect(loaded) as api:
        yield api


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server without TLS."""
    async with serve() as running:
        yield running


@pytest.fixture
async def api(server: Server, tmp_path: Path) -> AsyncIterator[Api]:
    """A client of the scripted server."""
    async with connected(tmp_path, server.url) as connection:
        yield connection


def status(code: int, reason: str, message: str = "no", **details: object) -> list[bytes]:
    """Give a Status object as the API server sends it."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return [json.dumps(body).encode()]


async def read(api: Api, read_timeout: float = 30.0) -> bytes:
    """Read a stream to its end."""
    async with api.stream(PATH, {"watch": "1"}, read_timeout=read_timeout) as stream:
        return b"".join([chunk async for chunk in stream.chunks()])


async def trouble(api: Api, **arguments: float) -> tuple[str, str]:
    """Give kind and sentence of the trouble that a request runs into."""
    with pytest.raises(NetworkError) as error:
        await api.get(PATH, **arguments)  # type: ignore[arg-type]
    return error.value.trouble, str(error.value)


# -- the network --------------------------------------------------------------------------------------------------


async def test_nobody_listens(tmp_path: Path) -> None:
    """A refused connection names the server and asks whether it is up."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening: nobody else can come in between
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with connected(tmp_path, url) as api:
            kind, sentence = await trouble(api)
    assert kind == "refused"
    assert sentence.startswith(f"cannot connect to the API server {url} (")
    assert sentence.endswith("): is it up, and is the address right?")


async def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    """A name without an address is trouble of the DNS."""
    async with connected(tmp_path, "http://no-such-host.invalid:6443") as api:
        kind, sentence = await trouble(api)
    assert kind == "dns"
    assert sentence.startswith("the name of the API server http://no-such-host.invalid:6443 cannot be resolved")


async def test_a_server_that_does_not_answer(server: Server, api: Api) -> None:
    """Silence before the answer is a time-out."""
    never = asyncio.Event()

    async def wait(_: Request) -> Reply:
        await never.wait()
        return Reply()

    server.on(PATH, wait)
    expected = (
        "timeout",
        f"no answer from the API server {server.url} in time: is it up, and does a firewall let us through?",
    )
    assert expected == await trouble(api, timeout=0.1)


async def test_a_body_that_stalls(server: Server, api: Api) -> None:
    """Silence in the middle of the answer is a time-out too."""
    server.on(PATH, Reply(200, [b"{", STALL]))
    kind, _ = await trouble(api, timeout=0.1)
    assert kind == "timeout"


@pytest.mark.parametrize("cut", [ABORT, CLOSE])
async def test_a_body_that_is_cut(server: Server, api: Api, cut: Step) -> None:
    """Half an answer is no answer."""
    server.on(PATH, Reply(200, [b'{"items": [', 0.01, cut]))
    kind, sentence = await trouble(api)
    assert kind == "broken"
    assert sentence.startswith(f"the connection with the API server {server.url} broke (")


async def test_a_body_that_is_no_gzip(server: Server, api: Api) -> None:
    """What cannot be decompressed is trouble, not a crash."""
    server.on(PATH, Reply(200, [b"plain"], {"Content-Encoding": "gzip"}))
    kind, _ = await trouble(api)
    assert kind == "broken"


@asynccontextmanager
async def _greeting(words: bytes) -> AsyncIterator[int]:
    """Listen with something that speaks first and hangs up; gives the port."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


async def test_something_that_speaks_no_http(tmp_path: Path) -> None:
    """Another protocol on the port is trouble, not a crash."""
    async with (
        _greeting(b"220 mail.example.com ESMTP\r\n") as port,
        connected(tmp_path, f"http://127.0.0.1:{port}") as api,
    ):
        kind, _ = await trouble(api)
    assert kind == "broken"


async def test_a_login_page_in_between(server: Server, api: Api) -> None:
    """A redirect is not followed: the token is for the server alone."""
    server.on(PATH, Reply(302, (), {"Location": "https://login.example.com/"}))
    expected = (
        "redirect",
        f"{server.url} sends us on to https://login.example.com/: is this an API server's address, not a login page's?",
    )
    assert expected == await trouble(api)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b"[" * 5000, b'"\xff"'])
async def test_an_answer_that_is_no_object(server: Server, api: Api, body: bytes) -> None:
    """Where JSON is expected, anything else has its sentence."""
    server.on(PATH, Reply(200, [body] if body else []))
    with pytest.raises(NetworkError) as error:
        await api.get_json(PATH)
    expected = f"{server.url}{PATH} did not answer with a JSON object: is this the address of an API server?"
    assert expected == str(error.value)


async def test_a_proxy_that_is_not_there(tmp_path: Path, server: Server) -> None:
    """A proxy that cannot be reached is told apart from the server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with connected(tmp_path, server.url, cluster={"proxy-url": proxy}) as api:
            kind, sentence = await trouble(api)
    assert kind == "proxy"
    assert sentence.endswith("check proxy-url and HTTPS_PROXY")


async def test_a_proxy_that_refuses(tmp_path: Path, server: Server) -> None:
    """What a proxy says is told, without the password that its address holds."""
    server.on("", Reply(407))
    proxy = server.url.replace("://", "://me:hunter2@")
    async with connected(tmp_path, "https://192.0.2.1:6443", cluster={"proxy-url": proxy}) as api:
        kind, sentence = await trouble(api)
    assert kind == "proxy"
    assert sentence.endswith("https://192.0.2.1:6443 refuses (407 scripted): check proxy-url and HTTPS_PROXY")
    assert "hunter2" not in sentence


# -- TLS ----------------------------------------------------------------------------------------------------------


def server_tls(ca: trustme.CA, name: str = "127.0.0.1", clients: trustme.CA | None = None) -> ssl.SSLContext:
    """Make a server's TLS settings, with client certificates demanded where their CA is given."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(name).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def encoded(ca: trustme.CA) -> str:
    """Give a CA as a kubeconfig holds it."""
    return base64.b64encode(ca.cert_pem.bytes()).decode()


def client_certificate(folder: Path, ca: trustme.CA, name: str) -> Headers:
    """Write a client certificate, and give the user that has it."""
    issued = ca.issue_cert(name)
    (folder / "client.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "client.key").write_bytes(issued.private_key_pem.bytes())
    return {"client-certificate": "client.pem", "client-key": "client.key"}


async def test_a_certificate_of_a_stranger(tmp_path: Path) -> None:
    """A server whose CA is not the kubeconfig's is not trusted, and gets no token."""
    async with (
        serve(server_tls(trustme.CA())) as server,
        connected(tmp_path, server.url, cluster={"certificate-authority-data": encoded(trustme.CA())}) as api,
    ):
        kind, sentence = await trouble(api)
    assert kind == "tls"
    assert sentence.startswith(f"the certificate of {server.url} is not trusted (")
    assert server.requests == []


async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    """A certificate for another name is not trusted."""
    ca = trustme.CA()
    async with (
        serve(server_tls(ca, "kubernetes.example.com")) as server,
        connected(tmp_path, server.url, cluster={"certificate-authority-data": encoded(ca)}) as api,
    ):
        kind, sentence = await trouble(api)
    assert kind == "tls"
    assert "is not trusted" in sentence


async def test_tls_where_there_is_none(tmp_path: Path) -> None:
    """https:// on a port without TLS is told as that."""
    async with (
        _greeting(b"HTTP/1.0 400 Bad Request\r\n\r\n") as port,
        connected(tmp_path, f"https://127.0.0.1:{port}") as api,
    ):
        kind, sentence = await trouble(api)
    assert kind == "tls"
    assert sentence.startswith("no TLS connection with the API server https://127.0.0.1")


async def test_a_missing_client_certificate(tmp_path: Path) -> None:
    """A server that demands a client certificate turns us away."""
    ca = trustme.CA()
    async with (
        serve(server_tls(ca, clients=ca)) as server,
        connected(tmp_path, server.url, cluster={"certificate-authority-data": encoded(ca)}) as api,
    ):
        kind, _ = await trouble(api)
    assert kind in ("tls", "broken")  # TLS 1.3 tells only after the handshake
    assert server.requests == []


async def test_tls_server_name(tmp_path: Path) -> None:
    """tls-server-name is the name that is expected of the certificate."""
    ca = trustme.CA()
    cluster = {"certificate-authority-data": encoded(ca), "tls-server-name": "kubernetes.example.com"}
    async with (
        serve(server_tls(ca, "kubernetes.example.com")) as server,
        connected(tmp_path, server.url, cluster=cluster) as api,
    ):
        server.on(PATH, Reply(200, [b"hello"]))
        expected = b"hello"
        assert expected == await api.get(PATH)


async def test_insecure_skip_tls_verify(tmp_path: Path) -> None:
    """Who asks for it may go without verification."""
    async with (
        serve(server_tls(trustme.CA())) as server,
        connected(tmp_path, server.url, cluster={"insecure-skip-tls-verify": True}) as api,
    ):
        server.on(PATH, Reply(200, [b"hello"]))
        expected = b"hello"
        assert expected == await api.get(PATH)


async def test_a_rotated_client_certificate(tmp_path: Path) -> None:
    """A new client certificate is used for new connections, while an open stream goes on."""
    ca, old, new = trustme.CA(), trustme.CA(), trustme.CA()
    settings = server_tls(ca, clients=old)
    user = client_certificate(tmp_path, old, "old")
    authority = {"certificate-authority-data": encoded(ca)}
    more = asyncio.Event()
    async with serve(settings) as server, connected(tmp_path, server.url, user, authority) as api:
        server.on(PATH, Reply(200, [b"first", more, b"second"]), Reply(200, [b"other"]))
        async with api.stream(PATH) as stream:
            chunks = stream.chunks()
            got = [await anext(chunks)]
            new.configure_trust(settings)
            client_certificate(tmp_path, new, "new")
            await api._auth.force_refresh()
            got.append(await api.get(PATH))
            more.set()
            got.append(await anext(chunks))
        expected = [b"first", b"other", b"second"]
        assert expected == got


# -- errors of the API server -------------------------------------------------------------------------------------


async def test_an_error_status(server: Server, api: Api) -> None:
    """A Status object's parts are kept."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    server.on(PATH, Reply(504, status(504, "Timeout", "Too large", causes=causes, retryAfterSeconds=1)))
    with pytest.raises(ApiError) as error:
        await api.get(PATH)
    expected = (504, "Timeout", "Too large", 1.0, ("ResourceVersionTooLarge",))
    actual = error.value
    assert expected == (actual.status, actual.reason, actual.message, actual.retry_after, actual.causes)


async def test_expired(server: Server, api: Api) -> None:
    """410 has an error of its own, on streams too."""
    server.on(PATH, Reply(410, status(410, "Expired", "too old resource version")))
    with pytest.raises(ExpiredError, match="the API server answered 410 Expired: too old resource version"):
        await read(api)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("soon", 3.0),
        ("-1", 3.0),
        ("", 3.0),
        ("Mon, 99 Jan 2001 00:00:00 GMT", 3.0),
    ],
)
async def test_retry_after(server: Server, api: Api, header: str, expected: float) -> None:
    """The header goes before the Status object's word, where it can be read."""
    server.on(PATH, Reply(429, status(429, "TooManyRequests", retryAfterSeconds=3), {"Retry-After": header}))
    with pytest.raises(ApiError) as error:
        await read(api)
    assert expected == error.value.retry_after


def test_retry_after_as_a_date_to_come() -> None:
    """A date is turned into the seconds until then."""
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    expected = 60.0
    assert expected == pytest.approx(api_error(503, {"Retry-After": header}, b"").retry_after, abs=2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b"upstream connect\n error", "upstream connect error"),
        (b"[" * 5000, "[" * 256),
        (b'{"message": 7, "details": [], "reason": null}', "7"),
        (b'{"details": {"causes": "x", "retryAfterSeconds": "y"}}', ""),
        (b'{"details": {"causes": [1, {}]}}', ""),
        (b"\xff", "�"),
    ],
)
def test_an_error_that_is_no_status(body: bytes, message: str) -> None:
    """Proxies answer what they like; it is shown, cut, and never a crash."""
    error = api_error(502, {}, body)
    expected = (502, message, None)
    assert expected == (error.status, error.message, error.retry_after)


async def test_an_error_without_end(server: Server, api: Api) -> None:
    """The body of an error is not read without end."""
    server.on(PATH, Reply(500, [b"x" * 70_000, STALL]))
    with pytest.raises(ApiError) as error:
        await api.get(PATH, timeout=30.0)
    expected = 256
    assert expected == len(error.value.message)


async def test_an_error_that_is_cut(server: Server, api: Api) -> None:
    """The status is told also where its explanation does not come."""
    server.on(PATH, Reply(403, [b'{"reason": "Forb', 0.01, ABORT]))
    with pytest.raises(ApiError) as error:
        await api.get(PATH)
    expected = 403
    assert expected == error.value.status


async def test_a_second_401(server: Server, api: Api) -> None:
    """A 401 is replayed once; the second one is the answer."""
    server.on(PATH, Reply(401, status(401, "Unauthorized", "Unauthorized")))
    with pytest.raises(ApiError, match="the API server answered 401 Unauthorized"):
        await read(api)
    expected = 2
    assert expected == len(server.requests)


async def test_a_401_when_the_plugin_fails(tmp_path: Path, server: Server) -> None:
    """What keeps the plugin from a new token is told, not the 401."""
    script = (
        f"#!/bin/sh\necho x >> {tmp_path}/n; [ $(wc -l < {tmp_path}/n) = 1 ] || {{ echo log in >&2; exit 1; }}\n"
        'echo \'{"status": {"token": "old"}}\'\n'
    )
    (tmp_path / "login").write_text(script)
    (tmp_path / "login").chmod(0o700)
    server.on(PATH, Reply(401))
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(tmp_path / "login")}}
    async with connected(tmp_path, server.url, user) as api:
        with pytest.raises(ClusterError, match="failed with exit code 1: log in; log in again, then retry"):
            await api.get(PATH)


async def test_a_401_after_which_the_token_is_new(tmp_path: Path, server: Server) -> None:
    """A request that was refused is sent again with the new token, and succeeds."""
    (tmp_path / "token").write_text("old")

    async def check(request: Request) -> Reply:
        if request.headers["authorization"] == "Bearer new":
            return Reply(200, [b"welcome"])
        (tmp_path / "token").write_text("new")
        return Reply(401)

    server.on(PATH, check)
    async with connected(tmp_path, server.url, {"tokenFile": "token"}) as api:
        expected = b"welcome"
        assert expected == await read(api)


# -- answers ------------------------------------------------------------------------------------------------------


async def test_what_is_sent(server: Server, api: Api) -> None:
    """Path, query and headers arrive as they were meant."""
    server.on(PATH, Reply(200, [b"{}"]))
    params = {"continue": "a+b/c=d&e", "labelSelector": "app in (a, b)"}
    await api.get(PATH, params, accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    (request,) = server.requests
    actual = {name: request.headers[name] for name in ("accept", "accept-encoding", "authorization", "user-agent")}
    expected = {
        "accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        "accept-encoding": "identity",
        "authorization": "Bearer t",
        "user-agent": "customresource-exporter",
    }
    assert expected == actual
    assert ("GET", PATH, params) == (request.method, request.path, request.query)


async def test_pairs_as_the_query(server: Server, api: Api) -> None:
    """The query may also be pairs."""
    server.on(PATH, Reply(200, [b"{}"]))
    await api.get(PATH, [("limit", "1"), ("continue", "x")])
    expected = {"limit": "1", "continue": "x"}
    assert expected == server.requests[0].query


async def test_a_server_below_a_path(tmp_path: Path, server: Server) -> None:
    """A server behind a gateway may have a path of its own."""
    server.on("/k8s/clusters/c-1" + PATH, Reply(200, [b"hello"]))
    async with connected(tmp_path, server.url + "/k8s/clusters/c-1/") as api:
        expected = b"hello"
        assert expected == await api.get(PATH)


async def test_gzip_on_request(server: Server, api: Api) -> None:
    """A list may come compressed, and in several members."""
    server.on(PATH, Reply(200, [gzip.compress(b'{"a":'), gzip.compress(b"1}")], {"Content-Encoding": "gzip"}))
    expected = {"a": 1}
    assert expected == await api.get_json(PATH, gzip=True)
    assert server.requests[0].headers["accept-encoding"] == "gzip"


async def test_streams_ask_for_no_compression_and_bear_it(server: Server, api: Api) -> None:
    """A stream asks for identity; a server that compresses all the same loses nothing."""
    members = [gzip.compress(f"event {number}\n".encode()) for number in range(6)]
    server.on(PATH, Reply(200, members, {"Content-Encoding": "gzip"}))
    expected = b"".join(f"event {number}\n".encode() for number in range(6))
    assert expected == await read(api)
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_a_stream_gives_what_came_before_it_broke(server: Server, api: Api) -> None:
    """What arrived is given before the trouble is told."""
    server.on(PATH, Reply(200, [b"whole\n", b"hal", 0.01, ABORT]))
    got = b""
    with pytest.raises(NetworkError):  # noqa: PT012 - what came before matters
        async with api.stream(PATH) as stream:
            async for chunk in stream.chunks():
                got += chunk
    assert got in (b"whole\nhal", b"whole\n")


async def test_the_headers_of_a_stream(server: Server, api: Api) -> None:
    """The headers of an answer can be read before its body."""
    server.on(PATH, Reply(200, [STALL], {"Audit-Id": "a"}))
    async with api.stream(PATH) as stream:
        assert stream.headers["audit-id"] == "a"


async def test_more_streams_than_a_pool_has(server: Server, api: Api) -> None:
    """150 streams are open at once: nothing waits for a free connection."""
    server.on(PATH, Reply(200, [b"x", STALL]))
    enough = asyncio.Event()
    opened = 0

    async def hold() -> None:
        nonlocal opened
        async with api.stream(PATH) as stream:
            async for _ in stream.chunks():
                opened += 1
                if opened == 150:
                    enough.set()
                await enough.wait()
                return

    await asyncio.gather(*(hold() for _ in range(150)))
    expected = 150
    assert expected == len(server.requests)


async def test_connections_are_used_again(server: Server, api: Api) -> None:
    """A request after another goes over the same connection."""
    server.on(PATH, Reply(200, [b"{}"]))
    for _ in range(3):
        await api.get(PATH)
    expected = 1
    assert expected == server.connections


async def test_no_password_from_netrc(
    server: Server, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password for the host in ~/.netrc is none of our business."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.on(PATH, Reply(200, [b"{}"]))
    await api.get(PATH)
    assert server.requests[0].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("no_proxy", "expected"), [("", "proxy"), ("10.0.0.0/8, 192.0.2.0/24", "direct"), ("192.0.2.1", "direct")]
)
async def test_the_proxy_of_the_environment(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, no_proxy: str, expected: str
) -> None:
    """HTTP_PROXY is honoured, and NO_PROXY with networks too, as kubectl does."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", no_proxy)
    server.on("", Reply(200, [b"proxy"]))
    async with connected(tmp_path, "http://192.0.2.1:6443") as api:
        reading = asyncio.create_task(api.get(PATH))
        # 192.0.2.1 is nobody's address: without the proxy nothing can come back.
        done, _ = await asyncio.wait({reading}, timeout=30.0 if expected == "proxy" else 0.2)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    actual = "proxy" if done and server.requests else "direct"
    assert expected == actual


# -- the cluster --------------------------------------------------------------------------------------------------

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"


@pytest.mark.parametrize("code", [403, 404])
async def test_a_cluster_that_does_not_say_who_it_is(server: Server, api: Api, code: int) -> None:
    """Without the right to read kube-system a name is made of the address, and the log says so."""
    server.on(KUBE_SYSTEM, Reply(code, status(code, "Forbidden")))
    with structlog.testing.capture_logs() as logs:
        first, second = await api.cluster_uid(), await api.cluster_uid()
    assert first == second
    assert len(first) == len("server:") + 64
    assert first.startswith("server:")
    assert logs[0]["log_level"] == "warning"


async def test_clusters_at_one_address_are_told_apart_by_their_ca(tmp_path: Path) -> None:
    """Two clusters that are reached under one address, one after the other, are two."""
    uids = []
    async with serve() as server:
        server.on(KUBE_SYSTEM, Reply(403))
        for number in range(2):
            (tmp_path / str(number)).mkdir()
            async with connected(tmp_path / str(number), server.url) as api:
                used = api._auth.credentials
                api._auth.credentials = dataclasses.replace(used, authority=f"CA {number}".encode())
                uids.append(await api.cluster_uid())
    expected = 2
    assert expected == len(set(uids))


async def test_a_cluster_in_trouble_gets_no_other_identity(server: Server, api: Api) -> None:
    """A server that is overloaded is not taken for another cluster."""
    server.on(KUBE_SYSTEM, Reply(503, status(503, "ServiceUnavailable")))
    with pytest.raises(ApiError, match="503"):
        await api.cluster_uid()


async def test_a_cluster_without_a_uid(server: Server, api: Api) -> None:
    """What answers without a uid is no API server."""
    server.on(KUBE_SYSTEM, Reply(200, [b"{}"]))
    with pytest.raises(NetworkError, match="has no uid"):
        await api.cluster_uid()


async def test_the_clusters_uid(server: Server, api: Api) -> None:
    """The uid of kube-system is the cluster's identity."""
    server.on(KUBE_SYSTEM, Reply(200, [b'{"metadata": {"uid": "1-2-3"}}']))
    expected = "1-2-3"
    assert expected == await api.cluster_uid()


async def test_the_version(server: Server, api: Api) -> None:
    """The version is the server's own word."""
    server.on("/version", Reply(200, [b'{"major": "1", "gitVersion": "v1.37.2"}']))
    expected = "v1.37.2"
    assert expected == await api.version()
