"""`--web.config.file`: TLS, authentication and headers of a listener, in the format of Prometheus' exporter-toolkit.

`WebConfig` holds what the file says now. `refresh` reads it again where it or a file it names has changed, so that
certificates and passwords rotate without a restart; a file that turned bad changes nothing until it is good again.
"""

import base64
import binascii
import hmac
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from sidecar.base.configfile import ConfigError, convert_yaml, read_text
from sidecar.http.passwords import Passwords, TooManyChecks

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_HEADERS = {
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
}
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class TlsServerConfig(_Struct, frozen=True):
    """The certificate that is served, and which ones clients must have."""

    cert_file: str
    key_file: str
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    client_ca_file: str | None = None
    min_version: Literal["TLS10", "TLS11", "TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS10", "TLS11", "TLS12", "TLS13"] = "TLS13"


class HttpServerConfig(_Struct, frozen=True):
    """Headers of every answer. `http2` is read for the sake of shared files; HTTP/1.1 is what is spoken."""

    http2: bool = False
    headers: dict[str, str] = {}


class Settings(_Struct, frozen=True):
    """Everything the file says. Paths in it are relative to it."""

    tls_server_config: TlsServerConfig | None = None
    http_server_config: HttpServerConfig = HttpServerConfig()
    basic_auth_users: dict[str, str] = {}
    bearer_token_file: str | None = None


def parse(text: str, path: Path) -> Settings:
    """Read and check the text of a web configuration; raises ConfigError."""
    settings = convert_yaml(text, path, Settings)
    tls = settings.tls_server_config
    if tls and _VERIFY[tls.client_auth_type] and tls.client_ca_file is None:
        raise ConfigError(
            f"{path}: tls_server_config.client_ca_file: it is needed for client_auth_type {tls.client_auth_type!r}"
        )
    if tls and _VERSIONS[tls.min_version] > _VERSIONS[tls.max_version]:
        raise ConfigError(f"{path}: tls_server_config.min_version: {tls.min_version!r} is above max_version")
    for name, value in settings.http_server_config.headers.items():
        if name not in _HEADERS:
            raise ConfigError(
                f"{path}: http_server_config.headers: {name!r} is not allowed: {', '.join(sorted(_HEADERS))}"
            )
        if any(ord(letter) < 32 for letter in value):
            raise ConfigError(f"{path}: http_server_config.headers.{name}: {value!r} has control characters")
    for user, hashed in settings.basic_auth_users.items():
        if not _BCRYPT.fullmatch(hashed):
            raise ConfigError(f"{path}: basic_auth_users.{user}: it is not a bcrypt hash, as `htpasswd -nB` writes it")
    return settings


def ssl_context(tls: TlsServerConfig, directory: Path) -> ssl.SSLContext:
    """Load the certificates; raises ConfigError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    try:
        context.load_cert_chain(directory / tls.cert_file, directory / tls.key_file)
        if tls.client_ca_file is not None:
            context.load_verify_locations(directory / tls.client_ca_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(directory / f) for f in (tls.cert_file, tls.key_file, tls.client_ca_file) if f)
        raise ConfigError(f"{files}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"tls_server_config: a path cannot be the name of a file: {error}") from error
    context.verify_mode = _VERIFY[tls.client_auth_type]
    return context


class WebConfig:
    """What the file says now: `ssl` for the listener, `middleware` for authentication and headers."""

    def __init__(self, path: Path | None) -> None:
        """Read the file, if there is one; raises ConfigError."""
        self._path = path
        self._passwords = Passwords()
        self._watched: dict[Path, object] = {}
        self.settings = Settings()
        self.ssl: ssl.SSLContext | None = None
        self._token: bytes | None = None
        self._load()

    @property
    def authenticates(self) -> bool:
        """Tell whether strangers are refused: by a password, a token, or a certificate that they lack."""
        tls = self.settings.tls_server_config
        by_certificate = tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"
        return bool(self.settings.basic_auth_users) or self._token is not None or by_certificate

    def refresh(self) -> bool:
        """Read the files again if one has changed; returns whether. On ConfigError the old ones stay in use."""
        if all(_stamp(path) == stamp for path, stamp in self._watched.items()):
            return False
        self._load()
        return True

    def _load(self) -> None:
        """Read everything. Stamps are taken first, so that no change is missed; a bad file is reported once."""
        if self._path is None:
            return
        self._watched = {self._path: _stamp(self._path)}
        settings = parse(read_text(self._path), self._path)
        directory, tls = self._path.parent, settings.tls_server_config
        named = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
        for name in (*named, settings.bearer_token_file):
            if name is not None:
                self._watched[directory / name] = _stamp(directory / name)
        context = ssl_context(tls, directory) if tls else None
        token = _read_token(directory, settings.bearer_token_file)
        self.settings, self.ssl, self._token = settings, context, token
        self._passwords.forget()

    def middleware(
        self,
        *,
        without_authentication: frozenset[str] = frozenset(),
        busy: Callable[[web.Request], None] = lambda request: None,
    ) -> Middleware:
        """Return the middleware that refuses strangers, but on the paths given, and sets the headers.

        `busy` is called for requests whose password is not checked because others are.
        """

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = self.settings.http_server_config.headers
            try:
                allowed = request.path in without_authentication or await self.allows(
                    request.headers.get("Authorization", ""), address=request.remote or ""
                )
            except TooManyChecks:
                busy(request)
                retry = {**headers, "Retry-After": "1"}
                return web.Response(status=503, text="too many passwords to check: ask again\n", headers=retry)
            if not allowed:
                scheme = 'Basic realm="model-sidecar"' if self.settings.basic_auth_users else "Bearer"
                return web.Response(status=401, text="Unauthorized\n", headers={**headers, "WWW-Authenticate": scheme})
            try:
                response = await handler(request)
            except web.HTTPException as answer:
                answer.headers.update(headers)
                raise
            response.headers.update(headers)
            return response

        return guard

    async def allows(self, authorization: str, *, address: str) -> bool:
        """Tell whether an `Authorization` header is that of a user or the token; with neither configured, all are.

        Raises TooManyChecks where it cannot be told now.
        """
        users = self.settings.basic_auth_users
        if not users and self._token is None:
            return True
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer" and self._token is not None:
            return hmac.compare_digest(credentials.strip().encode("utf-8", "surrogateescape"), self._token)
        if scheme.lower() == "basic" and users:
            try:
                user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
            return bool(colon) and await self._passwords.fits(user, password.encode(), users.get(user), address=address)
        return False


def _read_token(directory: Path, name: str | None) -> bytes | None:
    if name is None:
        return None
    token = read_text(directory / name).strip()
    if not token:
        raise ConfigError(f"{directory / name}: it is empty, but should hold a bearer token")
    return token.encode()


def _stamp(path: Path) -> object:
    try:
        stat = path.stat()
    except OSError as error:
        return (str(path), error.errno)
    except ValueError:  # it cannot be the name of a file; whoever reads it says so
        return (str(path), None)
    return (str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino)
