"""The report of `reference diff` in a real browser: accessible in both themes, nothing fetched, nothing cut off."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sidecar.cli import main
from tests.browser.test_accessibility import serious_faults
from tests.plugins.chromium import Open


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory, random = tmp_path_factory.mktemp("diff"), np.random.default_rng(1)
    for name, shift in (("a", 0.0), ("b", 1.0)):
        pd.DataFrame(
            {
                "amount <b>": random.normal(100 + 20 * shift, 20, 2000),
                "merchant": random.choice(
                    ["visa", "amex", "<script>"], 2000, p=[0.5 - 0.3 * shift, 0.2 + 0.3 * shift, 0.3]
                ),
                "same": np.arange(2000) % 7,
                "nothing": None if shift else random.random(2000),
            }
        ).to_parquet(directory / f"{name}.parquet")
    arguments = [str(directory / "a.parquet"), str(directory / "b.parquet"), "--report", str(directory / "x.html")]
    assert main(["reference", "diff", *arguments]) == 0
    return directory / "x.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_accessible_and_only_tables_scroll_sideways(
    written: Path, open_page: Open, width: int, scheme: str
) -> None:
    page = open_page(written.as_uri(), width=width, scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_faults(page) == []


def test_it_shows_every_feature_and_the_shares_of_its_bins(written: Path, open_page: Open) -> None:
    page = open_page(written.as_uri(), width=1280, scheme="light").page
    assert page.title() == "How b.parquet differs from a.parquet"
    assert "3 of 4 features moved; 0 could not be judged." in page.inner_text("main")
    levels = {
        row.split("\t")[0]: row.split("\t")[2] for row in page.locator("table").first.inner_text().splitlines()[1:]
    }
    assert levels["same"] == "none"
    assert levels["merchant"] in ("critical", "rollback")
    merchant = page.locator("[aria-label='bins of input merchant']").inner_text()
    assert "<script>" in merchant
    assert merchant.count("%") == 2 * 5
    assert page.locator("script").count() == 0


def test_the_report_cannot_be_written_where_there_is_no_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reference", "diff", "gone.csv", "gone.csv", "--report", str(tmp_path / "gone" / "x.html")]) == 1
    assert "there is no directory" in capsys.readouterr().err
