"""Names and values that would break out of a label: refused in a sentence, or read back as they were put in."""

import subprocess
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidecar.base.configfile import ConfigError
from sidecar.config import Config, ModelConfig, parse
from sidecar.exposition.text import prefix
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState
from sidecar.reference import Profile, ProfileError
from sidecar.reference.profile import check
from sidecar.reports.collector import Collector
from tests.plugins.programs import program
from tests.plugins.serving import Start, event, fraud_profile, get, post, wait_until

HOSTILE = {
    "a line feed": "a\nmodel_predictions_total 99",
    "a carriage return": "a\r\nb",
    "quotes": 'a",model="other',
    "the end of a sample": 'a"} 99 #',
    "a backslash": "a\\",
    "backslashes before quotes": 'a\\\\"b\\n',
    "braces": "{a}{{b}}",
    "a comment": "# HELP x y",
    "the end of OpenMetrics": "# EOF",
    "markup": "<script>alert(1)</script>",
    "NUL": "a\0b",
    "an escape": "a\x1b[31mb",
    "Unicode": "größe 😀 ﷽",
    "line ends of Unicode": "a\u2028b\u2029c\x85d\x0bd\x0ce",
    "right to left": "a\u202eb",
    "a byte order mark": "\ufeffa",
    "spaces": "  a  ",
    "nothing": "",
    "a path": "../../etc/passwd",
    "a URL": "javascript:alert(1)",
}
LONG = "x" * 1_000_000
NAMES = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def monitor(profile: Profile, *, name: str = "m", version: str = "") -> Monitor:
    config = Config(models=(ModelConfig(name=name, version=version),))
    return Monitor(config, {name: profile}, now=0.0, start=datetime(2026, 11, 2, tzinfo=UTC))


def labels(text: str, openmetrics: str) -> dict[str, set[str]]:
    """Return the values of every label: the parsers of both formats must agree, and promtool must read the text."""
    found: dict[str, set[str]] = {}
    other: dict[str, set[str]] = {}
    for family in parse_text(text):
        for sample in family.samples:
            for label, content in sample.labels.items():
                found.setdefault(label, set()).add(content)
    for family in parse_openmetrics(openmetrics):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            for label, content in sample.labels.items():
                other.setdefault(label, set()).add(content)
    assert found == other
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text.encode(), capture_output=True, timeout=60, check=False
    )
    assert b"error while linting" not in checked.stderr, checked.stderr
    assert checked.returncode in (0, 3), checked.stderr  # 3: style, such as that of process_* families
    return found


def visible(text: str) -> str:
    """Return a text as labels have it: control characters as they are written in Python, for terminals' sake."""
    escaped = "".join(f"\\x{ord(c):02x}" if unicodedata.category(c) == "Cc" and c not in "\t\n" else c for c in text)
    return text if escaped == text else escaped


def exposed(of: Monitor) -> dict[str, set[str]]:
    collector = Collector(of, LoadState())
    text, _ = collector.expose("", now=1.0)
    openmetrics, _ = collector.expose("application/openmetrics-text;version=1.0.0", now=1.0)
    return labels(text.decode(), openmetrics.decode())


@given(st.lists(st.text(st.sampled_from('\\x1b0a\x00\x1b\x9f\t\n"'), max_size=8), unique=True, min_size=2, max_size=2))
def test_different_values_stay_different_and_no_control_character_is_left(values: list[str]) -> None:
    lines = [prefix("m", ("l",), (value,)) for value in values]
    assert lines[0] != lines[1]
    assert not any(unicodedata.category(c) == "Cc" and c != "\t" for line in lines for c in line)
    read = [dict(labels(f"{line}1\n", f"{line}1\n# EOF\n"))["l"] for line in lines]
    assert read[0] != read[1]


@NAMES
def test_texts_of_a_profile_and_of_the_configuration_are_read_back(text: str) -> None:
    [amount, merchant, *outputs] = fraud_profile().features
    categories = (text, *merchant.categories[1:])  # type: ignore[union-attr]
    changed = msgspec.structs.replace(merchant, categories=categories)
    profile = msgspec.structs.replace(fraud_profile(), features=(amount, changed, *outputs), source=text)
    check(profile)
    found = exposed(monitor(profile, version=text))
    written = visible(text)
    assert written in found["source"]
    assert (written or "7") in found["model_version"]
    assert any(written in shown for shown in found["range"])
    assert found["model"] == {"m"}
    assert found["feature"] == {"amount", "merchant", "prediction", "probability"}


@NAMES
def test_the_name_of_a_feature_is_read_back_or_refused(text: str) -> None:
    [amount, *others] = fraud_profile().features
    renamed = msgspec.structs.replace(fraud_profile(), features=(msgspec.structs.replace(amount, name=text), *others))
    try:
        check(renamed)
    except ProfileError as error:
        refused = str(error)
    else:
        refused = ""
    assert "\n" not in refused
    if refused:
        return
    assert exposed(monitor(renamed))["feature"] == {text, "merchant", "prediction", "probability"}


@NAMES
def test_the_name_of_a_model_is_read_back_or_refused(text: str) -> None:
    document = msgspec.json.encode({"models": [{"name": text}]}).decode()  # JSON is YAML
    try:
        [model] = parse(document, Path("config.yml")).models
    except ConfigError as error:
        refused = str(error)
    else:
        refused = ""
    assert "\n" not in refused
    if refused:
        return
    assert exposed(monitor(fraud_profile(), name=model.name))["model"] == {text}


def test_a_text_of_a_megabyte_is_refused_wherever_it_is_in_a_profile() -> None:
    [amount, merchant, *outputs] = fraud_profile().features
    long_category = msgspec.structs.replace(merchant, categories=(LONG, *merchant.categories[1:]))  # type: ignore[union-attr]
    for changes in (
        {"source": LONG},
        {"model": LONG},
        {"model_version": LONG},
        {"features": (msgspec.structs.replace(amount, name=LONG), merchant, *outputs)},
        {"features": (amount, long_category, *outputs)},
    ):
        with pytest.raises(ProfileError, match="has 1000000 characters, more than 10000") as refused:
            check(msgspec.structs.replace(fraud_profile(), **changes))
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize("key", ["name", "version"])
def test_a_text_of_a_megabyte_is_refused_wherever_it_is_in_the_configuration(key: str) -> None:
    document = msgspec.json.encode({"models": [{"name": "m"} | {key: LONG}]}).decode()
    with pytest.raises(ConfigError) as refused:
        parse(document, Path("config.yml"))
    assert len(str(refused.value)) < 400


def test_what_was_learned_from_hostile_events_is_read_back(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "sidecar.yml"
    config.write_text("models: [{name: default, learn: {events: 100}, drift: {min_samples: 10}}]")
    process = start(config)
    texts = [*HOSTILE.values()]
    events = [
        event(features={"plain": text, **dict.fromkeys(texts, 1.0)}, prediction=text)
        for text in texts
        for _ in range(10)
    ]
    assert post(process.url, [*events, {"features": {LONG: 1, "plain": 2}}]).json() == {
        "accepted": len(events) + 1,
        "rejected": 0,
    }
    wait_until(lambda: get(process.url, "/health").json()["models"]["default"] == "monitoring")
    text = get(process.url, "/metrics").text
    openmetrics = get(process.url, "/metrics", accept="application/openmetrics-text;version=1.0.0").text
    found = labels(text, openmetrics)
    assert found["model"] == {"default"}
    assert found["feature"] - {"plain", "prediction", "probability"} < set(texts)
    assert LONG not in found["feature"]
    assert max(map(len, found["range"])) < 2000
    for path in ("/drift", "/alerts", "/drift?feature=plain"):
        assert get(process.url, path).json()
    page = get(process.url, "/").text
    assert "<script>alert" not in page
    # Nothing that came in became a file.
    assert {path.name for path in tmp_path.iterdir()} == {"sidecar.yml", "sidecar.log"}


def test_refused_hostile_events_are_one_line_of_the_log(start: Start) -> None:
    process = start()
    lines = len(process.log.read_bytes().splitlines())
    name = "".join(text for text in HOSTILE.values() if '"' not in text and "\\" not in text)
    assert post(process.url, {"features": {"a": 1}, "model": f"{name}\nlevel=error"}).status == 422
    wait_until(lambda: b"refused" in process.log.read_bytes())
    text = process.log.read_bytes().decode()
    assert len(text.splitlines()) == lines + 1
    assert not any((ord(letter) < 32 and letter != "\n") or 127 <= ord(letter) < 160 for letter in text)
