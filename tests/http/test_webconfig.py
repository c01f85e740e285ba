import ssl
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import trustme
from aiohttp import web

from sidecar.base.configfile import ConfigError
from sidecar.http.connections import Bounds, Connections
from sidecar.http.tls_listener import Listener
from sidecar.http.webconfig import WebConfig, parse

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
FILE = Path("web.yml")


def basic(user: str, password: str) -> str:
    return aiohttp.encode_basic_auth(user, password)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls: {}", "web.yml: Object contains unknown field `tls`"),
        ("tls_server_config: {cert_file: a}", "web.yml: tls_server_config: it lacks the key `key_file`"),
        (
            "tls_server_config: {cert_file: a, key_file: b, min_version: SSL3}",
            "web.yml: tls_server_config.min_version: 'SSL3': Invalid enum value 'SSL3'",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}",
            "web.yml: tls_server_config.client_ca_file: it is needed for client_auth_type 'RequireAndVerifyClientCert'",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}",
            "web.yml: tls_server_config.min_version: 'TLS13' is above max_version",
        ),
        (
            "http_server_config: {headers: {Set-Cookie: a}}",
            "web.yml: http_server_config.headers: 'Set-Cookie' is not allowed: Content-Security-Policy, "
            "Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection",
        ),
        (
            'http_server_config: {headers: {X-Frame-Options: "a\\r\\nb"}}',
            "web.yml: http_server_config.headers.X-Frame-Options: 'a\\r\\nb' has control characters",
        ),
        (
            "basic_auth_users: {ann: secret}",
            "web.yml: basic_auth_users.ann: it is not a bcrypt hash, as `htpasswd -nB` writes it",
        ),
        (
            "basic_auth_users: {ann: $2y$10$cutshort}",
            "web.yml: basic_auth_users.ann: it is not a bcrypt hash, as `htpasswd -nB` writes it",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)

    assert str(caught.value).replace("there is no such key:", "Object contains unknown field") == message


def test_the_example_of_the_format_is_read() -> None:
    settings = parse(
        f"""
tls_server_config: {{cert_file: tls.crt, key_file: tls.key, client_auth_type: VerifyClientCertIfGiven,
                    client_ca_file: ca.crt, min_version: TLS13}}
http_server_config: {{http2: true, headers: {{X-Frame-Options: deny}}}}
basic_auth_users: {{ann: {HASH}}}
bearer_token_file: token
""",
        FILE,
    )

    assert settings.tls_server_config is not None
    assert settings.tls_server_config.min_version == "TLS13"
    assert settings.basic_auth_users == {"ann": HASH}


def test_a_file_that_is_named_but_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("bearer_token_file: token")

    with pytest.raises(ConfigError, match=r"token: No such file or directory"):
        WebConfig(path)


@pytest.mark.parametrize("text", ['bearer_token_file: "a\\0b"', 'tls_server_config: {cert_file: "a\\0b", key_file: b}'])
def test_what_cannot_be_the_name_of_a_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(text)

    with pytest.raises(ConfigError, match="cannot be the name of a file"):
        WebConfig(path)


def test_an_empty_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    path = tmp_path / "web.yml"
    path.write_text("bearer_token_file: token")

    with pytest.raises(ConfigError, match="it is empty, but should hold a bearer token"):
        WebConfig(path)


@pytest.fixture
def both(tmp_path: Path) -> WebConfig:
    (tmp_path / "token").write_text("opensesame\n")
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{ann: {HASH}}}\nbearer_token_file: token\n")
    return WebConfig(path)


@pytest.mark.parametrize(
    ("authorization", "allowed"),
    [
        ("Bearer opensesame", True),
        ("bearer opensesame", True),
        ("Bearer opensesam", False),
        ("Bearer ", False),
        ("Bearer opensesam\udce9", False),
        (basic("ann", "secret"), True),
        (basic("ann", "Secret"), False),
        (basic("bob", "secret"), False),
        (basic("ann", "sec\0ret"), False),
        (basic("ann", "x" * 100), False),
        ("Basic !!!", False),
        ("Basic YW5u", False),
        ("Digest x", False),
        ("", False),
    ],
)
async def test_only_users_and_the_token_are_allowed(both: WebConfig, authorization: str, allowed: bool) -> None:
    assert await both.allows(authorization, address="") is allowed


async def test_without_users_and_token_everyone_is_allowed() -> None:
    assert await WebConfig(None).allows("", address="")


async def test_a_password_is_hashed_once(both: WebConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    check = bcrypt.checkpw

    def watched(password: bytes, hashed: bytes) -> bool:
        asked.append(password)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", watched)

    for _ in range(3):
        assert await both.allows(basic("ann", "secret"), address="")
        assert not await both.allows(basic("ann", "wrong"), address="")

    assert asked == [b"secret", b"wrong"]


async def test_a_new_token_counts_from_the_next_refresh(tmp_path: Path, both: WebConfig) -> None:
    assert not both.refresh()
    (tmp_path / "token").write_text("another one")

    assert both.refresh()

    assert await both.allows("Bearer another one", address="")
    assert not await both.allows("Bearer opensesame", address="")


async def test_a_file_that_turned_bad_changes_nothing_and_is_told_once(tmp_path: Path, both: WebConfig) -> None:
    good = (tmp_path / "web.yml").read_text()
    (tmp_path / "web.yml").write_text("tls: 1")

    with pytest.raises(ConfigError, match=r"web\.yml: there is no such key: `tls`$"):
        both.refresh()
    assert not both.refresh()
    assert await both.allows("Bearer opensesame", address="")

    (tmp_path / "web.yml").write_text(good + "http_server_config: {headers: {X-Frame-Options: deny}}\n")
    assert both.refresh()


def certify(authority: trustme.CA, directory: Path) -> None:
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(directory / "tls.key")
    issued.cert_chain_pems[0].write_to_path(directory / "tls.crt")


async def hello(request: web.Request) -> web.Response:
    if request.path == "/missing":
        raise web.HTTPNotFound
    return web.Response(text="hello")


async def start(config: WebConfig) -> tuple[web.AppRunner, Listener, str]:
    application = web.Application(middlewares=[config.middleware(without_authentication=frozenset({"/-/healthy"}))])
    application.router.add_get("/{path:.*}", hello)
    runner = web.AppRunner(application)
    await runner.setup()
    connections = Connections(Bounds(), refused=lambda: None, makes_room=True)
    listener = Listener(runner, config, connections)
    return runner, listener, await listener.start(("127.0.0.1", 0))


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_certificates_rotate_without_a_restart_and_open_connections_go_on(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    certify(first, tmp_path)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}")
    runner, listener, address = await start(WebConfig(tmp_path / "web.yml"))
    url = f"https://{address}/"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(first))) as old,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(second))) as new,
    ):
        assert await (await old.get(url)).text() == "hello"
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await new.get(url)

        certify(second, tmp_path)
        await listener.refresh()

        assert await (await new.get(url)).text() == "hello"
        assert await (await old.get(url)).text() == "hello", "the open connection is kept"
    await listener.stop()
    await runner.cleanup()


async def test_a_certificate_without_its_key_leaves_the_old_one_served(tmp_path: Path) -> None:
    authority = trustme.CA()
    certify(authority, tmp_path)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}")
    runner, listener, address = await start(WebConfig(tmp_path / "web.yml"))
    authority.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")

    await listener.refresh()

    assert listener.problem is not None
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(authority))) as session:
        assert (await session.get(f"https://{address}/")).status == 200
    await listener.stop()
    await runner.cleanup()


async def test_clients_must_show_a_certificate_where_it_is_required(tmp_path: Path) -> None:
    authority = trustme.CA()
    certify(authority, tmp_path)
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: ca.crt,"
        " client_auth_type: RequireAndVerifyClientCert}"
    )
    runner, listener, address = await start(WebConfig(tmp_path / "web.yml"))
    with_certificate = trusting(authority)
    authority.issue_cert("client.example").configure_cert(with_certificate)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(authority))) as without,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=with_certificate)) as known,
    ):
        assert (await known.get(f"https://{address}/")).status == 200
        with pytest.raises(aiohttp.ClientError):
            await without.get(f"https://{address}/")
    await listener.stop()
    await runner.cleanup()


async def test_strangers_get_401_and_headers_are_set_on_every_answer(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(
        f"basic_auth_users: {{ann: {HASH}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"
    )
    runner, listener, address = await start(WebConfig(tmp_path / "web.yml"))
    url = f"http://{address}"
    ann = basic("ann", "secret")
    async with aiohttp.ClientSession() as session:
        answers = [
            await session.get(f"{url}/"),
            await session.get(f"{url}/", headers={"Authorization": ann}),
            await session.get(f"{url}/missing", headers={"Authorization": ann}),
            await session.get(f"{url}/-/healthy"),
        ]
        assert [answer.status for answer in answers] == [401, 200, 404, 200]
        assert {answer.headers["X-Frame-Options"] for answer in answers} == {"deny"}
        assert answers[0].headers["WWW-Authenticate"] == 'Basic realm="model-sidecar"'
    await listener.stop()
    await runner.cleanup()
