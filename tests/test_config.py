from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.base.configfile import ByteSize, ConfigError
from sidecar.base.duration import Duration
from sidecar.config import Config, Slo, Thresholds, load, parse
from tests.paths import DATA

CONFIGS = DATA / "config"
HERE = Path("config.yml")

MESSAGES: list[tuple[str, str]] = [
    ("alpha_nan", "models[0].drift.alpha: nan is not allowed: a probability of at most 0.5, such as 0.001"),
    ("alpha_zero", "models[0].drift.alpha: 0.0 is not allowed: a probability of at most 0.5, such as 0.001"),
    ("bucket_a_text", "models[0].latency.buckets[1]: 'x': Expected `float`, got `str`"),
    ("buckets_fall", "models[0].latency.buckets: (1.0, 0.5) is not allowed: 1 to 100 rising bounds above 0"),
    ("buckets_infinite", "models[0].latency.buckets: (1.0, inf) is not allowed: 1 to 100 rising bounds above 0"),
    ("buckets_negative", "models[0].latency.buckets: (-1.0, 0.5) is not allowed: 1 to 100 rising bounds above 0"),
    ("document_a_list", "Expected `object`, got `array`"),
    ("document_a_text", "Expected `object`, got `str`"),
    ("drift_window_unknown", "models[0].drift.window: '2h' is not allowed: one of the windows, 5m, 1h, 24h"),
    (
        "feature_thresholds_fall",
        "models[0].drift.features.amount.thresholds: (0.1, 0.2, 0.9, 0.5) is not allowed: "
        "0 < moderate <= significant <= critical <= rollback",
    ),
    ("impossible_date", "not YAML: month must be in 1..12"),
    ("key_twice", "line 4: the key 'version' is there twice"),
    (
        "labels_class_other",
        "models[0].labels.classes: ('a', 'other') is not allowed: at most 50, each once, no 'other'",
    ),
    (
        "labels_class_twice",
        "models[0].labels.classes: ('a', 'b', 'a') is not allowed: at most 50, each once, no 'other'",
    ),
    ("labels_for_none", "models[0].labels.most: 0 is not allowed: 1 to 100000000 predictions"),
    ("labels_none_enough", "models[0].labels.min_labels: 0 is not allowed: at least 1"),
    ("labels_of_no_time", "models[0].labels.ttl: '500ms' is not allowed: at least 1s"),
    ("labels_positive_a_boolean", "models[0].labels.positive: True: Expected `str | null`, got `bool`"),
    ("labels_positive_unknown", "models[0].labels.positive: 'c' is not allowed: one of the classes, a, b"),
    ("labels_unknown_key", "models[0].labels: there is no such key: `window`"),
    ("learn_one_bin", "models[0].learn.bins: 1 is not allowed: 2 to 100"),
    ("learn_too_few", "models[0].learn.events: 10 is not allowed: at least 100"),
    ("learn_too_many_categories", "models[0].learn.categories: 500 is not allowed: 1 to limits.categories, 200"),
    ("limit_a_variable", "line 1: expected ',' or '}', but got '{'"),
    ("limit_zero", "limits.features: 0 is not allowed: at least 1"),
    ("limits_a_list", "limits: Expected `object`, got `array`"),
    ("merge_key", "line 3: merge keys (<<) are not supported"),
    ("min_samples_a_fraction", "models[0].drift.min_samples: 1.5: Expected `int`, got `float`"),
    ("min_samples_zero", "models[0].drift.min_samples: 0 is not allowed: at least 1"),
    ("model_a_text", "models[0]: 'fraud': Expected `object`, got `str`"),
    ("models_an_object", "models: expected a list, each item after a `-`, not keys"),
    ("name_a_number", "models[0].name: 5: Expected `str`, got `int`"),
    ("name_empty", "models[0].name: '' is not allowed: 1 to 200 printable characters"),
    ("name_twice", "models[1].name: 'a' is not allowed: each model has a name of its own"),
    ("no_models", "models: [] is not allowed: at least one model"),
    ("no_name", "models[0]: it lacks the key `name`"),
    ("python_tag", "line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'"),
    ("size_negative", "limits.body_bytes: -1 is not a size such as 65536, 512KiB or 8MiB"),
    ("size_of_no_unit", "limits.body_bytes: '8 megabytes' is not a size such as 65536, 512KiB or 8MiB"),
    ("size_zero", "limits.body_bytes: 0 is not allowed: at least 1"),
    ("slo_without_seconds", "models[0].latency.slos[0]: it lacks the key `seconds`"),
    ("slo_zero_seconds", "models[0].latency.slos[0].seconds: 0.0 is not allowed: more than 0"),
    ("tab", "line 2: found character '\\t' that cannot start any token"),
    ("target_a_percentage", "models[0].latency.slos[0].target: 95.0 is not allowed: a share between 0 and 1"),
    ("threshold_a_text", "models[0].drift.thresholds.moderate: 'high': Expected `float`, got `str`"),
    (
        "thresholds_fall",
        "models[0].drift.thresholds: (0.3, 0.2, 0.25, 0.5) is not allowed: "
        "0 < moderate <= significant <= critical <= rollback",
    ),
    ("two_documents", "line 2: but found another document"),
    ("unclosed", "line 2: expected ',' or ']', but got '<stream end>'"),
    ("unknown_alias", "line 1: found undefined alias 'nothing'"),
    ("unknown_drift_key", "models[0].drift: there is no such key: `psi`"),
    ("unknown_key", "there is no such key: `modells`; did you mean models?"),
    ("unknown_model_key", "models[0]: there is no such key: `refrence`; did you mean reference?"),
    ("version_a_date", "models[0].version: datetime.date(2026, 11, 2): Expected `str`, got `date`"),
    ("window_a_number", "models[0].windows[0]: 300 is not a duration such as 30s, 5m, 1h30m or 1d"),
    (
        "window_for_ever",
        f"models[0].windows[0]: '{'9' * 198}…: it is too long a duration",
    ),
    ("window_no_duration", "models[0].windows[0]: '5 minutes' is not a duration such as 30s, 5m, 1h30m or 1d"),
    ("window_too_short", "models[0].windows: ['500ms'] is not allowed: windows of at least 1s"),
    ("window_twice", "models[0].windows: ['60m', '1h'] is not allowed: each window once"),
    ("windows_a_text", "models[0].windows: '5m': Expected `array`, got `str`"),
    ("windows_none", "models[0].windows: [] is not allowed: 1 to 8 windows"),
]
GOOD = ("good_empty", "good_full", "good_minimal")


@pytest.mark.parametrize(("name", "message"), MESSAGES, ids=[name for name, _ in MESSAGES])
def test_a_mistake_is_told_in_one_sentence_with_file_key_and_value(name: str, message: str) -> None:
    path = CONFIGS / f"{name}.yml"
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert str(refused.value) == f"{path}: {message}"


def test_every_file_is_in_the_table() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yml")} == {name for name, _ in MESSAGES} | set(GOOD)


def test_an_empty_file_is_all_defaults() -> None:
    config = load(CONFIGS / "good_empty.yml")
    assert config == Config()
    [model] = config.models
    assert (model.name, model.reference, model.learn.events) == ("default", None, 10_000)
    assert [window.text for window in model.windows] == ["5m", "1h", "24h"]
    assert config.limits.body_bytes == 8 * 2**20


def test_everything_that_can_be_said_is_understood() -> None:
    fraud, churn = load(CONFIGS / "good_full.yml").models
    assert fraud.reference == str(CONFIGS / "fraud.profile.json")
    assert fraud.version == "2026-11-02"
    assert fraud.drift_window() == Duration("5m")
    assert fraud.latency.bounds() == (0.01, 0.1, 0.5, 1.0)
    assert fraud.latency.slos == (Slo(target=0.95, seconds=0.1), Slo(target=0.99, seconds=0.5))
    assert fraud.drift.thresholds_for("age") == Thresholds(moderate=0.05, significant=0.1, critical=0.2, rollback=0.4)
    assert fraud.drift.thresholds_for("amount").critical == 0.3
    assert fraud.drift.thresholds_for("amount").moderate == 0.05
    assert (churn.learn.events, churn.learn.bins, churn.learn.categories) == (5000, 20, 30)
    assert load(CONFIGS / "good_full.yml").limits.inflight_bytes == 16 * 2**20


def test_levels_are_judged_on_one_hour_where_there_is_one() -> None:
    def window(windows: str) -> str:
        return parse(f"models: [{{name: a, windows: {windows}}}]", HERE).models[0].drift_window().text

    assert window("[5m, 60m]") == "60m"
    assert window("[5m, 2h]") == "5m"


def test_a_path_of_its_own_stays_and_another_is_beside_the_file() -> None:
    text = "models: [{name: a, reference: /etc/a.json}, {name: b, reference: b.json}]"
    assert [model.reference for model in parse(text, Path("dir/config.yml")).models] == ["/etc/a.json", "dir/b.json"]


@pytest.mark.parametrize("variable", ["${HOME}", "$HOME", "%HOME%", "~"])
def test_variables_are_not_expanded(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/secret")
    [model] = parse(f"models: [{{name: '{variable}', reference: '{variable}/p.json'}}]", HERE).models
    assert model.name == variable
    assert model.reference == f"{variable}/p.json"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yml: No such file or directory$"):
        load(tmp_path / "none.yml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)
    latin = tmp_path / "latin.yml"
    latin.write_bytes(b"models: [{name: caf\xe9}]")
    with pytest.raises(ConfigError, match=r"latin\.yml: it is not UTF-8"):
        load(latin)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1d", 86400), ("2w", 1209600), ("1y", 31536000), ("250ms", 0.25)],
)
def test_durations_are_read_as_prometheus_reads_them(text: str, seconds: float) -> None:
    assert Duration(text).seconds == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "1.5h", "-5m", "5m1h", "5M", "1h1h", "5m\n", "∞", "9" * 400 + "y"]
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        Duration(text)


def test_durations_are_equal_by_length() -> None:
    assert Duration("60m") == Duration("1h")
    assert len({Duration("60m"), Duration("1h")}) == 1
    assert Duration("1h") != "1h"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (65536, 65536),
        ("65536", 65536),
        ("512KiB", 2**19),
        ("8 MiB", 2**23),
        ("1GiB", 2**30),
        ("1MB", 10**6),
        ("2KB", 2000),
    ],
)
def test_sizes_are_read_with_their_units(value: object, size: int) -> None:
    assert ByteSize.parse(value) == size


@pytest.mark.parametrize("value", [True, 1.5, -1, "", "MiB", "1 TB", "1kb", "0x10", None, [1], {"a": 1}])
def test_other_values_are_no_sizes(value: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        ByteSize.parse(value)


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
MERGED_LAUGHS = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefghijk", "bcdefghijkl", strict=True)
)

HOSTILE = {
    "billion laughs": LAUGHS,
    "billion laughs as models": LAUGHS + "models: *l",
    "billion laughs as a name": LAUGHS + "models: [{name: *l}]",
    "billion laughs as a key": LAUGHS + "? *l\n: 1",
    "billion laughs by merging": MERGED_LAUGHS,
    "list of itself": "models: &m [*m]",
    "object of itself": "&m {models: *m}",
    "deep lists": "[" * 20_000,
    "deep objects": "{a: " * 20_000,
    "deep blocks": "\n".join(" " * i + "a:" for i in range(1500)),
    "huge hexadecimal": "models: [{name: a, learn: {categories: 0x" + "f" * 20_000 + "}}]",
    "huge hexadecimal size": "limits: {body_bytes: 0x" + "f" * 20_000 + "}",
    "huge decimal": "limits: {features: " + "9" * 20_000 + "}",
    "huge float": "models: [{name: a, drift: {alpha: 1.0e+400}}]",
    "huge exponent": "models: [{name: a, windows: [" + "9" * 5000 + "m]}]",
    "half a surrogate": r'models: [{name: "\ud800"}]',
    "half a surrogate as a key": r'"\ud800": 1',
    "null character": 'models: [{name: "\\0"}]',
    "raw null character": "models: [{name: \0}]",
    "no time": "a: !!timestamp x",
    "no boolean": "a: !!bool x",
    "no integer": "a: !!int x",
    "empty integer": "a: !!int ''",
    "no float": "a: !!float x",
    "no bytes": "a: !!binary é",
    "impossible time": "a: 2026-02-30T25:61:61Z",
    "set": "models: !!set {a, b}",
    "pairs": "models: !!pairs [a: 1]",
    "ordered map": "limits: !!omap [features: 1]",
    "list as a key": "? [1]\n: 1",
    "object as a key": "? {a: 1}\n: 1",
    "number as a key": "1: 2",
    "null as a key": "~: 2",
    "number as a feature": "models: [{name: a, drift: {features: {1: {}}}}]",
    "value key": "models: [{=: 1}]",
    "directive": "%YAML 9.9\n---\na: 1",
    "alias before its anchor": "a: *b\nb: &b 1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text, HERE)
    message = str(refused.value)
    assert message.startswith("config.yml:")
    assert "\n" not in message
    assert len(message) < 1000
    message.encode()


def _survives(text: str) -> None:
    try:
        config = parse(text, HERE)
    except ConfigError as error:
        str(error).encode()
    else:
        assert isinstance(config, Config)
        assert len({model.name for model in config.models}) == len(config.models) > 0


@given(st.text(max_size=60))
def test_arbitrary_text_is_a_configuration_or_refused(text: str) -> None:
    _survives(text)


values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.binary(max_size=4)
)
words = st.sampled_from(
    ["models", "limits", "name", "windows", "drift", "latency", "slos", "target", "thresholds", "features", "5m", "a"]
)
anything = st.recursive(
    values | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | values, inner, max_size=3)
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "models": anything
            | st.lists(
                st.fixed_dictionaries(
                    {"name": words},
                    optional={
                        "windows": anything,
                        "reference": anything,
                        "learn": anything,
                        "version": anything,
                        "latency": st.dictionaries(st.sampled_from(["buckets", "slos"]), anything),
                        "drift": st.dictionaries(
                            st.sampled_from(["alpha", "min_samples", "window", "features", "thresholds"]), anything
                        ),
                    },
                ),
                max_size=2,
            ),
            "limits": st.dictionaries(st.sampled_from(["body_bytes", "features", "categories"]), values) | anything,
        },
    )
)
def test_wrong_types_anywhere_are_refused(document: object) -> None:
    _survives(yaml.safe_dump(document))


@given(st.data())
def test_a_mutated_file_is_a_configuration_or_refused(data: st.DataObject) -> None:
    text = (CONFIGS / "good_full.yml").read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(st.text("{}[],:&*!|>'\"%@`#?- \n\t0a\\~<=.", max_size=3))
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 4)) :]
    _survives(text)
