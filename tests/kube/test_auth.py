"""Credentials: what cannot be loaded is said in one sentence, and what runs out is loaded again in time."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from kubernetes.aio.config import incluster_config

from exporter.backoff import Backoff
from exporter.errors import ClusterError
from exporter.kube import auth
from exporter.kube import kubeconfig as kubeconfigs
from exporter.kube import plugin as plugins


PROC = Path("/proc")


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the kubeconfig and the cluster of whoever runs the tests out of them."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def kubeconfig(
    path: Path, user: dict[str, Any] | None = None, *, cluster: dict[str, Any] | None = None, name: str = "one"
) -> str:
    """Write a kubeconfig with one context, and give its path."""
    content = {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example.com:6443"} | (cluster or {})}],
        "users": [{"name": name, "user": {"token": "t"} if user is None else user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return str(path)


def plugin(path: Path, script: str, **more: object) -> dict[str, Any]:
    """Write a credential plugin as a shell script, and give the user that runs it."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path), **more}}


def credential(**status: object) -> str:
    """Give the shell command that prints an ExecCredential; `$N` in it is expanded."""
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return "cat <<END\n" + json.dumps(answer) + "\nEND"


async def refused(path: str | None = None, context: str | None = None) -> str:
    """Give the sentence with which loading is refused."""
    with pytest.raises(ClusterError) as error:
        await auth.load(path, context)
    return str(error.value)


# -- kubeconfigs that cannot be used ------------------------------------------------------------------------------


async def test_a_missing_kubeconfig(tmp_path: Path) -> None:
    """The path that leads nowhere is named, with the ways to give another."""
    path = tmp_path / "none"
    expected = f"there is no kubeconfig at {path}: give --kubeconfig, set KUBECONFIG, or run in a cluster"
    assert expected == await refused(str(path))


async def test_no_kubeconfig_at_all(tmp_path: Path) -> None:
    """Without any, the default place is named."""
    place = tmp_path / "home/.kube/config"
    expected = f"there is no kubeconfig at {place}: give --kubeconfig, set KUBECONFIG, or run in a cluster"
    assert expected == await refused()


async def test_a_kubeconfig_that_is_named_never_falls_back_to_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a pod too, a kubeconfig that was asked for must be there."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "there is no kubeconfig at" in await refused(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "cannot be read: while parsing"),
        ("just text", "is no kubeconfig; correct it"),
        ("", "is no kubeconfig; correct it"),
        ("clusters: 7", "is no kubeconfig; correct it"),
        ("clusters: [{cluster: {}}]", "is no context"),
    ],
)
async def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str, expected: str) -> None:
    """Bad YAML and other files are told apart from each other and named."""
    path = tmp_path / "bad"
    path.write_text(text)
    sentence = await refused(str(path))
    assert str(path) in sentence
    assert expected in sentence or "has no current context" in sentence


async def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    """A directory is named as one."""
    assert f"the kubeconfig {tmp_path} cannot be read" in await refused(str(tmp_path))


async def test_an_unknown_context(tmp_path: Path) -> None:
    """The contexts that exist are listed."""
    path = kubeconfig(tmp_path / "config")
    expected = f"the kubeconfig {path} has no context 'two': give --context one of one"
    assert expected == await refused(path, "two")


async def test_no_current_context(tmp_path: Path) -> None:
    """A kubeconfig without a current context asks for one."""
    path = kubeconfig(tmp_path / "config")
    (tmp_path / "config").write_text((tmp_path / "config").read_text().replace("current-context: one\n", ""))
    expected = f"the kubeconfig {path} has no current context: give --context one of one"
    assert expected == await refused(path)


async def test_a_context_of_an_unknown_user(tmp_path: Path) -> None:
    """Nobody goes on without an identity because of a misspelt user."""
    path = kubeconfig(tmp_path / "config")
    (tmp_path / "config").write_text((tmp_path / "config").read_text().replace("user: one", "user: two"))
    expected = f"the kubeconfig {path}: the context 'one' names the user 'two', which is not among its users: one"
    assert expected == await refused(path)


async def test_a_context_of_an_unknown_cluster(tmp_path: Path) -> None:
    """The clusters that exist are listed."""
    path = kubeconfig(tmp_path / "config")
    (tmp_path / "config").write_text((tmp_path / "config").read_text().replace("cluster: one", "cluster: two"))
    assert (await refused(path)).endswith("the context 'one' does not name a cluster and user of it; its clusters: one")


@pytest.mark.parametrize("key", ["client-certificate", "client-key", "tokenFile"])
async def test_a_missing_file_of_the_user(tmp_path: Path, key: str) -> None:
    """The file that is missing is named, with the context that wants it."""
    path = kubeconfig(tmp_path / "config", {key: "gone.pem"})
    sentence = await refused(path)
    assert sentence.startswith(f"the kubeconfig {path} (context 'one') cannot be used: ")
    assert str(tmp_path / "gone.pem") in sentence


async def test_a_missing_ca(tmp_path: Path) -> None:
    """The CA's file is named, relative to the kubeconfig that names it."""
    path = kubeconfig(tmp_path / "config", cluster={"certificate-authority": "gone.pem"})
    assert str(tmp_path / "gone.pem") in await refused(path)


async def test_certificates_that_are_none(tmp_path: Path) -> None:
    """A file that holds no certificate is named."""
    (tmp_path / "ca.pem").write_text("nothing")
    path = kubeconfig(tmp_path / "config", cluster={"certificate-authority": "ca.pem"})
    assert f"has certificates that cannot be used ({tmp_path / 'ca.pem'})" in await refused(path)


async def test_a_key_with_a_password(tmp_path: Path) -> None:
    """A key that is locked is refused; nobody is asked for a password at a terminal."""
    issued = trustme.CA().issue_cert("client")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))
    (tmp_path / "key").write_bytes(locked)
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    path = kubeconfig(tmp_path / "config", {"client-certificate": "certificate", "client-key": "key"})
    assert "has certificates that cannot be used" in await refused(path)


@pytest.mark.parametrize(
    "address", ["10.0.0.1:6443", "ftp://host", "https://[::1", "https://host:99999", "https://h:x"]
)
async def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    """An address that no request can go to is refused at the start."""
    path = kubeconfig(tmp_path / "config", cluster={"server": address})
    assert (await refused(path)).endswith(f"can be used ({address!r}): write https://host:port")


async def test_a_password_in_the_address(tmp_path: Path) -> None:
    """A password in the address is refused, and not repeated."""
    path = kubeconfig(tmp_path / "config", cluster={"server": "https://me:hunter2@10.0.0.1"})
    sentence = await refused(path)
    assert "holds a password in the server's address" in sentence
    assert "hunter2" not in sentence


async def test_an_auth_provider_that_is_gone(tmp_path: Path) -> None:
    """Providers that Kubernetes removed are named, not ignored."""
    path = kubeconfig(tmp_path / "config", {"auth-provider": {"name": "azure"}})
    assert (await refused(path)).endswith(
        "the auth-provider 'azure' of user 'one' is not supported: use an exec plugin"
    )


async def test_a_token_that_no_header_can_hold(tmp_path: Path) -> None:
    """A token with a line break inside is refused before it is sent."""
    assert "holds a line break" in await refused(kubeconfig(tmp_path / "config", {"token": "a\nb"}))


# -- credential plugins that fail ---------------------------------------------------------------------------------


async def test_a_missing_plugin(tmp_path: Path) -> None:
    """A plugin that is not installed is named."""
    path = kubeconfig(tmp_path / "config", {"exec": {"apiVersion": "v1", "command": "no-such-plugin"}})
    expected = (
        "the credential plugin 'no-such-plugin' cannot be started (No such file or directory): install it, or correct "
        "the kubeconfig"
    )
    assert expected == await refused(path)


async def test_a_plugin_that_fails(tmp_path: Path) -> None:
    """The last line of its stderr is the reason."""
    user = plugin(tmp_path / "login", "echo first >&2; echo 'your session has ended' >&2; exit 3")
    expected = (
        f"the credential plugin '{tmp_path / 'login'}' failed with exit code 3: your session has ended; log in again, "
        "then retry"
    )
    assert expected == await refused(kubeconfig(tmp_path / "config", user))


async def test_a_plugin_that_fails_at_length(tmp_path: Path) -> None:
    """What it says is cut to 256 characters."""
    user = plugin(tmp_path / "login", "printf '%1000s' x | tr ' ' y >&2; exit 1")
    sentence = await refused(kubeconfig(tmp_path / "config", user))
    assert sentence.count("y") < 300


@pytest.mark.parametrize("where", ["", " >&2"])
async def test_a_plugin_that_prints_without_end(tmp_path: Path, where: str) -> None:
    """What comes without end is not gathered: it is ended, and the sentence shows nothing of it."""
    sentence = await refused(kubeconfig(tmp_path / "config", plugin(tmp_path / "login", f"yes made-up-secret{where}")))
    assert sentence == (
        f"the credential plugin '{tmp_path / 'login'}' prints without end: run it by hand, and check its arguments"
    )


async def test_a_plugin_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that waits for a person is ended with all it started, while the event loop goes on."""
    child = tmp_path / "child"
    user = plugin(tmp_path / "login", f"sleep 600 & echo $! > {child}.new; mv {child}.new {child}; wait")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    for seconds in (0.3, 3.0, 30.0):  # on a busy machine neither may have come far within the first of them
        monkeypatch.setattr(plugins, "PLUGIN_TIMEOUT", seconds)
        child.unlink(missing_ok=True)
        ticks = 0
        sentence = await refused(kubeconfig(tmp_path / "config", user))
        if child.exists() and ticks > 3:
            break
    ticking.cancel()
    expected = (
        f"the credential plugin '{tmp_path / 'login'}' gave no answer within {seconds:g} s: run it by hand; does it "
        "ask for something?"
    )
    assert expected == sentence
    assert ticks > 3
    await _until_gone(int(child.read_text()))


async def test_a_plugin_is_ended_when_nobody_waits_for_it(tmp_path: Path) -> None:
    """A shutdown does not wait for a plugin that hangs."""
    user = plugin(
        tmp_path / "login", f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 600"
    )
    loading = asyncio.create_task(auth.load(kubeconfig(tmp_path / "config", user)))
    while not (tmp_path / "pid").exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    await _until_gone(int((tmp_path / "pid").read_text()))


async def _until_gone(pid: int) -> None:
    """Wait until a process has ended; the test's own time limit is the deadline."""
    while True:
        try:
            state = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":  # ended, and nobody has asked how
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo hello", "did not answer with an ExecCredential: check its arguments and apiVersion"),
        ("echo '[]'", "did not answer with an ExecCredential: check its arguments and apiVersion"),
        ("echo '{\"status\": 1}'", "did not answer with an ExecCredential: check its arguments and apiVersion"),
        (credential(), "gave neither a token nor a client certificate with its key: log in again, then retry"),
        (credential(clientCertificateData="x"), "with its key: log in again, then retry"),
    ],
)
async def test_a_plugin_that_answers_something_else(tmp_path: Path, script: str, expected: str) -> None:
    """What is no credential is refused, and not shown."""
    sentence = await refused(kubeconfig(tmp_path / "config", plugin(tmp_path / "login", script)))
    assert sentence.endswith(expected)


async def test_a_plugin_that_fails_later_does_not_fail_silently(tmp_path: Path) -> None:
    """When a token is due and cannot be had, whoever asks is told, all at once."""
    count = tmp_path / "count"
    script = (
        f"echo x >> {count}; [ $(wc -l < {count}) = 1 ] || {{ echo no more >&2; exit 1; }}\n{credential(token='t')}"
    )
    loaded = await auth.load(kubeconfig(tmp_path / "config", plugin(tmp_path / "login", script)))
    results = await asyncio.gather(*(loaded.force_refresh() for _ in range(20)), return_exceptions=True)
    assert {True} == {isinstance(result, ClusterError) and "no more" in str(result) for result in results}
    expected = 2
    assert expected == len(count.read_text().split())


# -- what is loaded -----------------------------------------------------------------------------------------------


async def test_a_token(tmp_path: Path) -> None:
    """A token becomes the header."""
    loaded = await auth.load(kubeconfig(tmp_path / "config"))
    expected = {"Authorization": "Bearer t"}
    assert expected == await loaded.credentials.headers()
    server = "https://one.example.com:6443"
    assert server == loaded.credentials.server


async def test_no_user_at_all(tmp_path: Path) -> None:
    """A context without a user is anonymous, as it is for kubectl."""
    path = kubeconfig(tmp_path / "config")
    (tmp_path / "config").write_text((tmp_path / "config").read_text().replace("    user: one\n", ""))
    loaded = await auth.load(path)
    expected: dict[str, str] = {}
    assert expected == await loaded.credentials.headers()


async def test_the_default_place(tmp_path: Path) -> None:
    """Without anything named, ~/.kube/config is read."""
    kubeconfig(tmp_path / "home/.kube/config", name="home")
    expected = "https://home.example.com:6443"
    assert expected == (await auth.load()).credentials.server


async def test_several_files_are_merged_and_the_first_current_context_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KUBECONFIG may name several files, also ones that are not there."""
    paths = [kubeconfig(tmp_path / name, name=name) for name in ("one", "two")]
    monkeypatch.setenv("KUBECONFIG", ":".join([str(tmp_path / "none"), *paths]))
    servers = [(await auth.load()).credentials.server, (await auth.load(context="two")).credentials.server]
    expected = ["https://one.example.com:6443", "https://two.example.com:6443"]
    assert expected == servers


async def test_proxy_and_server_name(tmp_path: Path) -> None:
    """proxy-url and tls-server-name are taken over."""
    cluster = {"proxy-url": "http://proxy:3128", "tls-server-name": "kubernetes"}
    loaded = (await auth.load(kubeconfig(tmp_path / "config", cluster=cluster))).credentials
    expected = ("http://proxy:3128", "kubernetes")
    assert expected == (loaded.proxy, loaded.server_name)


@pytest.mark.parametrize("content", ["", "\n", " \t"])
async def test_an_empty_token_file_is_nobody_never(tmp_path: Path, content: str) -> None:
    """A token file without a token, as one that is just being written, is refused: nobody goes on as anonymous."""
    (tmp_path / "token").write_text(content)
    sentence = await refused(kubeconfig(tmp_path / "config", {"tokenFile": "token"}))
    assert sentence == f"the token file {tmp_path / 'token'} is empty: write a token into it"


async def test_a_token_file_is_read_again_within_a_minute(tmp_path: Path) -> None:
    """A rotated tokenFile is noticed, and its line break is no part of the token."""
    (tmp_path / "token").write_text("old\n")
    loaded = await auth.load(kubeconfig(tmp_path / "config", {"tokenFile": "token"}))
    assert 60 >= loaded.credentials.reload_at - time.monotonic() > 50
    (tmp_path / "token").write_text("new\n")
    await loaded.force_refresh()
    expected = {"Authorization": "Bearer new"}
    assert expected == await loaded.credentials.headers()


@pytest.mark.parametrize(("life", "expected"), [(30, 15), (240, 120), (600, 480), (7200, 600), (-5, 5)])
async def test_when_a_token_of_a_plugin_is_due(tmp_path: Path, life: int, expected: int) -> None:
    """Two minutes before it ends, half-way where that is too early, and every ten minutes at the latest."""
    began = time.monotonic()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + life))
    user = plugin(tmp_path / "login", credential(token="t", expirationTimestamp=at))
    loaded = await auth.load(kubeconfig(tmp_path / "config", user))
    # However long the plugin takes: the end is of whole seconds, and some of these count from when it had answered.
    assert began + expected - 1.1 <= loaded.credentials.reload_at <= time.monotonic() + expected + 0.1


async def test_a_rotating_token_is_loaded_when_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due is loaded again before it is used; what is not due is left alone."""
    script = f"echo x >> {tmp_path}/n; N=$(wc -l < {tmp_path}/n)\n{credential(token='token-$N')}"
    loaded = await auth.load(kubeconfig(tmp_path / "config", plugin(tmp_path / "login", script)))
    tokens = [await (await loaded.fresh()).headers()]
    monkeypatch.setattr(kubeconfigs, "AT_LATEST", -1.0)
    await loaded.force_refresh()
    tokens.append(await (await loaded.fresh()).headers())
    expected = ["Bearer token-1", "Bearer token-3"]
    assert expected == [token["Authorization"] for token in tokens]


async def test_many_who_are_refused_load_once(tmp_path: Path) -> None:
    """A thousand streams that get a 401 run the plugin once, also those that come late."""
    script = f"echo x >> {tmp_path}/n\n{credential(token='t')}"
    loaded = await auth.load(kubeconfig(tmp_path / "config", plugin(tmp_path / "login", script)))
    used = loaded.credentials
    await asyncio.gather(*(loaded.force_refresh(used) for _ in range(1000)))
    await loaded.force_refresh(used)
    expected = 2
    assert expected == len((tmp_path / "n").read_text().split())


async def test_what_a_plugin_is_told(tmp_path: Path) -> None:
    """Arguments, environment and ExecCredential reach it; a relative path starts at the kubeconfig."""
    script = f'echo "$1 $GREETING $KUBERNETES_EXEC_INFO" > {tmp_path}/told\n{credential(token="t")}'
    user = plugin(
        tmp_path / "login", script, args=["get-token"], env=[{"name": "GREETING", "value": "hello"}],
        provideClusterInfo=True,
    )  # fmt: skip
    user["exec"]["command"] = "./login"
    await auth.load(kubeconfig(tmp_path / "config", user))
    argument, greeting, info = (tmp_path / "told").read_text().split(" ", 2)
    expected = ("get-token", "hello", {"interactive": False, "cluster": {"server": "https://one.example.com:6443"}})
    assert expected == (argument, greeting, json.loads(info)["spec"])


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files, empty."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def left(place: Path) -> list[Path]:
    """What is in a directory."""
    return list(place.iterdir())


async def test_a_client_certificate_of_a_plugin_leaves_no_key_behind(tmp_path: Path, temporary: Path) -> None:
    """Certificates from a plugin are taken; the files they are loaded from are gone afterwards."""
    ca = trustme.CA()
    issued = ca.issue_cert("client")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
    key = issued.private_key_pem.bytes().decode()
    user = plugin(tmp_path / "login", credential(clientCertificateData=chain, clientKeyData=key))
    authority = {"certificate-authority-data": base64.b64encode(ca.cert_pem.bytes()).decode()}
    loaded = await auth.load(kubeconfig(tmp_path / "config", user, cluster=authority))
    first = loaded.credentials
    await loaded.force_refresh()
    assert first.tls is loaded.credentials.tls
    assert first.tls is not None
    assert left(temporary) == []


async def test_a_key_in_the_kubeconfig_leaves_none_behind(tmp_path: Path, temporary: Path) -> None:
    """Keys that stand in the kubeconfig itself are in no file once they are loaded, however often that is done."""
    ca = trustme.CA()
    issued = ca.issue_cert("client")
    both = base64.b64encode(issued.private_key_and_cert_chain_pem.bytes()).decode()
    authority = {"certificate-authority-data": base64.b64encode(ca.cert_pem.bytes()).decode()}
    user = {"client-certificate-data": both, "client-key-data": both}
    loaded = await auth.load(kubeconfig(tmp_path / "config", user, cluster=authority))
    first = loaded.credentials
    assert left(temporary) == []
    await loaded.force_refresh()
    assert first is not loaded.credentials
    assert first.tls is loaded.credentials.tls


async def test_another_current_context_moves_nobody(tmp_path: Path) -> None:
    """`kubectl config use-context` beside a running exporter changes nothing."""
    path = kubeconfig(tmp_path / "config")
    loaded = await auth.load(path)
    (tmp_path / "config").write_text(
        (tmp_path / "config").read_text().replace("current-context: one", "current-context: x")
    )
    await loaded.force_refresh()
    expected = "https://one.example.com:6443"
    assert expected == loaded.credentials.server


async def test_another_server_under_the_same_name_is_refused(tmp_path: Path) -> None:
    """A context that now names another server would mix two clusters."""
    path = kubeconfig(tmp_path / "config")
    loaded = await auth.load(path)
    (tmp_path / "config").write_text((tmp_path / "config").read_text().replace("one.example.com", "two.example.com"))
    with pytest.raises(ClusterError, match=r"now names the server https://two\.example\.com:6443 instead of"):
        await loaded.force_refresh()


# -- in a pod -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pod's surroundings; gives the folder with its token."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    (tmp_path / "token").write_text("pod-1\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return tmp_path


async def test_a_pod_without_a_token(pod: Path) -> None:
    """A pod that has no ServiceAccount token is told where to look."""
    (pod / "token").unlink()
    expected = (
        "cannot use the pod's ServiceAccount: Service token file does not exist.; is automountServiceAccountToken on?"
    )
    assert expected == await refused()


async def test_a_pod(pod: Path) -> None:
    """Inside a pod its ServiceAccount is used, and a rotated token is read again after a 401."""
    loaded = await auth.load()
    server = "https://[fd00::1]:443"
    assert server == loaded.credentials.server
    expected = {"Authorization": "bearer pod-1"}
    assert expected == await loaded.credentials.headers()
    (pod / "token").write_text("pod-2")
    await loaded.force_refresh()
    expected = {"Authorization": "bearer pod-2"}
    assert expected == await loaded.credentials.headers()


async def test_a_pods_token_is_read_again_every_minute(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotated token is used a minute later; where the file is away just then, the old one goes on."""
    loaded = await auth.load()
    assert 60 >= loaded.credentials.reload_at - time.monotonic() > 50
    monkeypatch.setattr(auth, "TOKEN_FILE", -1.0)
    monkeypatch.setattr(auth, "_AGAIN", Backoff(first=0.0))
    await loaded.force_refresh()
    tokens = []
    for content in ("pod-2", "", "pod-3"):
        (pod / "token").write_text(content)
        tokens.append((await (await loaded.fresh()).headers())["Authorization"])
    expected = ["bearer pod-2", "bearer pod-2", "bearer pod-3"]
    assert expected == tokens


async def test_a_kubeconfig_goes_before_the_pod(pod: Path, tmp_path: Path) -> None:
    """A kubeconfig that is found is used inside a pod too."""
    assert (pod / "token").exists()
    kubeconfig(tmp_path / "home/.kube/config", name="home")
    expected = "https://home.example.com:6443"
    assert expected == (await auth.load()).credentials.server
