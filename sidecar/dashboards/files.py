"""The files: every dashboard and its text."""

import json
from typing import Any

from grafana_foundation_sdk.cog.plugins import register_default_plugins

from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards.board import document
from sidecar.dashboards.boards import drift, feature, health, rollbacks, service

BOARDS = (drift.board, feature.board, service.board, health.board, rollbacks.board)


def documents(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return every dashboard by its uid."""
    register_default_plugins()
    return {made.uid: document(made, settings) for made in (make(settings) for make in BOARDS)}


def product(settings: Settings) -> dict[str, str]:
    """Return the text of every file by its name."""
    return {
        f"{uid}.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for uid, content in documents(settings).items()
    }
