"""Strangers with wrong passwords do not keep out whoever has the right one."""

import base64
import http.client
import time
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt

from tests.plugins.serving import Start, connected

STRANGERS = 600


def credentials(password: str) -> str:
    return "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()


def test_the_right_password_gets_in_while_strangers_ask_and_hang_up(start: Start, tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
    web_config = tmp_path / "web.yml"
    web_config.write_text(f"basic_auth_users: {{ann: {hashed}}}\n", encoding="utf-8")
    process = start(web=1, options=[f"--web.config.file={web_config}"])
    [url] = process.web_urls
    for i in range(STRANGERS):
        with connected(url) as connection:
            head = f"GET /drift HTTP/1.1\r\nHost: localhost\r\nAuthorization: {credentials(f'wrong {i}')}\r\n\r\n"
            connection.sendall(head.encode())
    # Each check takes about 50 ms, so that all of them would take half a minute of a core.
    began = time.monotonic()
    statuses = []
    while 200 not in statuses:
        address = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10, source_address=("127.0.0.2", 0))
        address.request("GET", "/drift", headers={"Authorization": credentials("secret")})
        statuses.append(address.getresponse().status)
        address.close()
        assert time.monotonic() - began < 10
    assert set(statuses) <= {200, 503}
