"""The report of a backtest in a real browser: accessible in both themes, nothing fetched, nothing cut off."""

from pathlib import Path

import pytest

from sidecar.alerting.backtest.report.page import page as report
from sidecar.alerting.backtest.score import Incident
from sidecar.alerting.backtest.study import run
from tests.alerting.backtest.support import START, afternoon, history, plan
from tests.browser.test_accessibility import serious_faults
from tests.plugins.chromium import Open


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    path = afternoon().parquet(directory / "x.parquet")
    storm = Incident(START + 3600, START + 4800)
    with run(history(path), plan(incidents=[storm], most_per_week=1.0)) as study:
        (directory / "report.html").write_text(report(study), encoding="utf-8")
    return directory / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_report_is_accessible_and_only_tables_and_plots_scroll_sideways(
    written: Path, open_page: Open, width: int, scheme: str
) -> None:
    page = open_page(written.as_uri(), width=width, scheme=scheme).page

    assert page.locator("svg[role=img]").count() >= 4
    assert page.locator("rect.critical").count() > 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_faults(page) == []
