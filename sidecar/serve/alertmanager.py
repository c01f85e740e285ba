"""Ask Alertmanager what it holds for the models watched here."""

import asyncio
import ssl
from collections.abc import Container
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp

TIMEOUT_SECONDS = 2.0
_SHOWN = ("labels", "annotations", "startsAt")


class AlertmanagerError(Exception):
    """Alertmanager did not answer as it should; the message says how."""


@cache
def _trusted() -> ssl.SSLContext:
    """Return what trusts the certificates that the system does; aiohttp's own was made without (see `cli.serve`)."""
    return ssl.create_default_context()


async def held_alerts(url: str, models: Container[str]) -> list[dict[str, Any]]:
    """Return the alerts of `models` that Alertmanager at `url` holds: labels, annotations, startsAt and state.

    The state is `active`, or `suppressed` where the alert is silenced or inhibited. Raises AlertmanagerError.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    trusted = await asyncio.to_thread(_trusted) if url.startswith("https:") else True
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(f"{url.rstrip('/')}/api/v2/alerts", ssl=trusted) as reply,
        ):
            alerts = await reply.json()
        return [
            {key: alert[key] for key in _SHOWN} | {"state": alert["status"]["state"]}
            for alert in alerts
            if alert["labels"].get("model") in models
        ]
    except TimeoutError as error:
        raise AlertmanagerError(f"{_shown(url)}: no answer within {TIMEOUT_SECONDS:g} s") from error
    except aiohttp.ClientResponseError as error:
        raise AlertmanagerError(f"{_shown(url)}: it answered {error.status} {error.message}") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise AlertmanagerError(f"{_shown(url)}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise AlertmanagerError(f"{_shown(url)}: it does not answer as Alertmanager does") from error


def _shown(url: str) -> str:
    """Return a URL as it may be shown: without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
