"""Labels joined to predictions, and their statistics: those of scikit-learn on the same pairs."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from sidecar.base.duration import Duration
from sidecar.config import FIRST_CLASSES, LabelsConfig
from sidecar.events.batch import Identified, Identifier
from sidecar.monitor.label_join import Labels, QualityReading
from sidecar.statistics.bins import CategoricalBins, Category, category_text
from sidecar.statistics.quality import CALIBRATION_BINS

HOUR = (Duration("1h"),)
NAMES = [f"class {i}" for i in range(5)]
shares = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]))
pairs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), shares), min_size=1, max_size=80)


def labels_of(windows: tuple[Duration, ...] = HOUR, **settings: Any) -> Labels:
    return Labels(LabelsConfig(**({"min_labels": 1} | settings)), windows, now=0.0)


def said_of(found: list[Any]) -> Identified:
    """Return the predictions of triples of prediction, label and probability, by their number."""
    return Identified(range(len(found)), [said for said, _, _ in found], [share for _, _, share in found])


def a(*ids: Identifier, said: Category = "a") -> Identified:
    """Return predictions with these ids that all say the same."""
    return Identified(ids, [said] * len(ids), [None] * len(ids))


def read(labels: Labels, found: list[tuple[Category, Category, float | None]], *, now: float = 0.0) -> QualityReading:
    """Keep predictions, label all of them, and read the statistics."""
    labels.keep(said_of(found), now=now)
    answers = labels.join([(i, actual) for i, (_, actual, _) in enumerate(found)], now=now)
    assert answers == [None] * len(found)
    return labels.read(now=now)


def calibration_error_slowly(probabilities: list[float], came_true: list[bool]) -> float:
    total = 0.0
    for i in range(CALIBRATION_BINS):
        last = i == CALIBRATION_BINS - 1
        inside = [k for k, p in enumerate(probabilities) if int(p * 10) == i or (last and p == 1)]
        if inside:
            mean = math.fsum(probabilities[k] for k in inside) / len(inside)
            share = sum(came_true[k] for k in inside) / len(inside)
            total += len(inside) / len(probabilities) * abs(mean - share)
    return total


def by_scikit_learn(found: list[tuple[str, str, float]], classes: tuple[str, ...], positive: str | None) -> Any:
    said, actual, probabilities = (list(column) for column in zip(*found, strict=True))
    came_true = [a == (s if positive is None else positive) for s, a, _ in found]
    named = {"labels": list(classes), "average": None, "zero_division": np.nan}
    return {
        "accuracy": sklearn_metrics.accuracy_score(actual, said),
        "precision": sklearn_metrics.precision_score(actual, said, **named),
        "recall": sklearn_metrics.recall_score(actual, said, **named),
        "brier_score": np.mean((np.array(came_true) - np.array(probabilities)) ** 2)
        if len(set(came_true)) < 2
        else sklearn_metrics.brier_score_loss(came_true, probabilities, pos_label=True),
        "calibration_error": calibration_error_slowly(probabilities, came_true),
    }


def assert_equal(reading: QualityReading, wanted: dict[str, Any], *, window: int = 0) -> None:
    for name, value in wanted.items():
        np.testing.assert_allclose(getattr(reading, name)[window], value, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("positive", [None, "class 1"])
@given(found=pairs)
def test_statistics_of_classes_are_those_of_scikit_learn(
    found: list[tuple[str, str, float]], positive: str | None
) -> None:
    labels = labels_of(positive=positive)
    reading = read(labels, list(found))
    assert_equal(reading, by_scikit_learn(found, labels.classes, positive))
    assert reading.labels.tolist() == [len(found)]


@given(found=pairs, known=st.integers(2, 4))
def test_classes_that_are_not_told_apart_change_nothing_but_that_they_are_not_shown(
    found: list[tuple[str, str, float]], known: int
) -> None:
    classes = tuple(NAMES[:known])
    labels = labels_of(classes=classes)
    reading = read(labels, list(found))
    assert labels.classes == classes
    assert_equal(reading, by_scikit_learn(found, classes, None))


numbers = st.one_of(st.floats(-1e6, 1e6), st.integers(-1000, 1000))


@given(found=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=50))
def test_errors_of_numbers_are_those_of_scikit_learn(found: list[tuple[float, float]]) -> None:
    reading = read(labels_of(), [(said, actual, None) for said, actual in found])
    said, actual = zip(*found, strict=True)
    assert_equal(
        reading,
        {
            "mean_absolute_error": sklearn_metrics.mean_absolute_error(actual, said),
            "root_mean_square_error": sklearn_metrics.root_mean_squared_error(actual, said),
        },
    )
    assert np.isnan(reading.accuracy).all()


@given(found=pairs, cut=st.lists(st.floats(0, 3000), min_size=1, max_size=80), seed=st.integers(0, 9))
def test_windows_are_of_the_time_of_the_label_and_order_changes_nothing(
    found: list[tuple[str, str, float]], cut: list[float], seed: int
) -> None:
    labels = labels_of((Duration("10m"), Duration("1h")))
    labels.keep(said_of(found), now=0.0)
    order = np.random.default_rng(seed).permutation(len(found)).tolist()
    times = sorted((cut * len(found))[: len(found)])
    for i, now in zip(order, times, strict=True):
        assert labels.join([(str(i), found[i][1])], now=now) == [None]
    reading = labels.read(now=times[-1])
    newest = int(times[-1] // 10)
    recent = [found[i] for i, now in zip(order, times, strict=True) if int(now // 10) > newest - 60]
    assert_equal(reading, by_scikit_learn(recent, labels.classes, None), window=0)
    assert_equal(reading, by_scikit_learn(found, labels.classes, None), window=1)
    later = labels.read(now=times[-1] + 7200)
    assert later.labels.tolist() == [0, 0]
    assert np.isnan(later.brier_score).all()
    assert labels.ever().labels == len(found)


def test_too_few_labels_say_nothing() -> None:
    labels = labels_of(min_labels=3, ttl=Duration("1m"))
    reading = read(labels, [("a", "a", 0.5)] * 2)
    for name in ("accuracy", "brier_score", "calibration_error", "mean_absolute_error", "coverage"):
        assert np.isnan(getattr(reading, name)).all(), name
    assert np.isnan(reading.precision).all()
    assert reading.labels.tolist() == [2]


def test_a_class_that_was_never_predicted_has_no_precision() -> None:
    reading = read(labels_of(classes=("a", "b", "c")), [("a", "a", None), ("a", "b", None)])
    np.testing.assert_array_equal(reading.precision[0], [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(reading.recall[0], [1.0, 0.0, np.nan])
    assert np.isnan(reading.brier_score).all()


def test_the_first_label_of_an_id_counts_and_so_does_the_first_prediction() -> None:
    labels = labels_of()
    labels.keep(Identified(["x", "x"], ["a", "b"], [None, None]), now=0.0)
    labels.keep(a("x", said="b"), now=1.0)
    assert labels.join([("x", "a"), ("x", "b")], now=2.0) == [None, "duplicate"]
    assert labels.join([("x", "b")], now=3.0) == ["duplicate"]
    assert labels.read(now=3.0).accuracy.tolist() == [1.0]
    assert (labels.kept, labels.repeated, labels.pending.waiting) == (1, 2, 0)


def test_a_label_before_its_prediction_is_of_an_unknown_id() -> None:
    labels = labels_of()
    assert labels.join([("x", "a")], now=0.0) == ["unknown_id"]
    labels.keep(a("x"), now=1.0)
    assert labels.join([("x", "a")], now=1.0) == [None]


def test_an_integer_is_the_same_id_as_its_text() -> None:
    labels = labels_of()
    labels.keep(a(7, "8"), now=0.0)
    assert labels.join([("7", "a"), (8, "a"), ("07", "a")], now=0.0) == [None, None, "unknown_id"]


def test_a_prediction_is_kept_for_its_time_and_then_counts_as_one_without_a_label() -> None:
    labels = labels_of(ttl=Duration("10s"))
    labels.keep(a(*range(4)), now=0.0)
    assert labels.join([(0, "a")], now=9.0) == [None]
    assert np.isnan(labels.read(now=9.0).coverage).all()
    assert labels.join([(0, "a"), (1, "a")], now=10.0) == ["unknown_id", "unknown_id"]
    assert (labels.expired, labels.pending.waiting, len(labels.pending)) == (3, 0, 0)
    assert labels.read(now=10.0).coverage.tolist() == [0.25]


def test_the_oldest_make_room_and_memory_is_bounded() -> None:
    labels = labels_of(most=10)
    for first in range(0, 100, 7):
        labels.keep(a(*range(first, first + 7)), now=float(first))
    kept = len(labels.pending)
    assert kept == len(labels.pending._numbers) == 10
    assert labels.join([(i, "a") for i in range(105)], now=100.0) == ["unknown_id"] * 95 + [None] * 10
    assert (labels.kept, labels.evicted, labels.expired) == (105, 95, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["keep", "join"]), st.lists(st.integers(0, 12), max_size=8), st.floats(0, 6)),
        max_size=40,
    )
)
def test_pending_predictions_equal_a_plain_list(steps: list[tuple[str, list[int], float]]) -> None:
    labels = labels_of(most=5, ttl=Duration("10s"))
    plain: dict[int, float] = {}
    labelled: set[int] = set()
    now, settled, expired, evicted = 0.0, 0, 0, 0

    def forget(key: int) -> bool:
        """Forget a prediction, and tell whether it had no label."""
        del plain[key]
        if key in labelled:
            labelled.remove(key)
            return False
        return True

    for what, ids, gap in steps:
        now += gap
        labels.expire(now=now)
        for key in [key for key, since in plain.items() if since + 10 <= now]:
            expired += forget(key)
        if what == "keep":
            for i in ids:
                labels.keep(a(i), now=now)
                if i not in plain:
                    if len(plain) == 5:
                        evicted += forget(next(iter(plain)))
                    plain[i] = now
        else:
            wanted = []
            for i in ids:
                wanted.append("unknown_id" if i not in plain else "duplicate" if i in labelled else None)
                if wanted[-1] is None:
                    labelled.add(i)
                    settled += 1
            assert labels.join([(i, "a") for i in ids], now=now) == wanted
        assert len(labels.pending) == len(plain)
        assert labels.pending.waiting == len(plain) - len(labelled)
    assert (int(labels.ever().labels), labels.expired, labels.evicted) == (settled, expired, evicted)


def test_a_body_with_more_predictions_than_are_kept_leaves_the_last() -> None:
    labels = labels_of(most=3)
    labels.keep(a(*range(8)), now=0.0)
    assert labels.join([(i, "a") for i in range(8)], now=0.0) == ["unknown_id"] * 5 + [None] * 3


@pytest.mark.parametrize(
    ("said", "actual", "correct"),
    [(True, "true", 1), (True, False, 0), ("1", 1, 1), ("0.5", 0.5, 1), ("other", "other", 1)],
)
def test_classes_are_compared_by_their_text(said: Category, actual: Category, correct: int) -> None:
    reading = read(labels_of(), [(said, actual, None)])
    assert reading.accuracy.tolist() == [correct]


def test_numbers_are_classes_where_classes_are_configured() -> None:
    reading = read(labels_of(positive="1"), [(1.0, 1, 0.9), (0, 1.0, 0.2), (0.0, 0, 0.1)])
    assert reading.accuracy[0] == pytest.approx(2 / 3)
    assert reading.brier_score[0] == pytest.approx((0.01 + 0.64 + 0.01) / 3)
    assert np.isnan(reading.mean_absolute_error).all()


def test_a_number_wants_a_number() -> None:
    labels = labels_of()
    labels.keep(a("x", said=3.5), now=0.0)
    assert labels.join([("x", "much"), ("x", True), ("x", 4)], now=0.0) == ["invalid", "invalid", None]


def test_a_difference_beyond_all_measure_leaves_later_sums_finite() -> None:
    labels = labels_of()
    read(labels, [(1e308, -1e308, None)])
    assert np.isfinite(labels.ever().squared)
    assert labels.read(now=0.0).root_mean_square_error[0] == 1e100


def test_a_probability_alone_counts_where_it_is_known_of_what() -> None:
    assert read(labels_of(positive="a"), [(None, "a", 0.75)]).brier_score.tolist() == [0.0625]
    unknown = read(labels_of(), [(None, "a", 0.75)])
    assert np.isnan(unknown.brier_score).all()
    assert unknown.labels.tolist() == [1]


def test_no_more_classes_are_told_apart_than_are_bounded() -> None:
    labels = labels_of()
    many = [f"c{i}" for i in range(3 * FIRST_CLASSES)]
    reading = read(labels, [(name, name, 0.5) for name in many])
    assert labels.classes == tuple(many[:FIRST_CLASSES])
    assert reading.precision.shape == (1, FIRST_CLASSES)
    assert reading.accuracy.tolist() == [1.0]
    assert labels.ever().outcomes[-1, -1] == 2 * FIRST_CLASSES


def test_two_others_are_not_the_same() -> None:
    labels = labels_of(classes=("a", "b"))
    assert read(labels, [("x", "y", None), ("x", "x", None)]).accuracy.tolist() == [0.5]
    assert category_text("x") not in labels.classes


@pytest.mark.parametrize("name", ["", "other", "a\nb", 'say "no"'])
def test_a_class_that_no_label_can_name_is_compared_exactly_and_shown_as_other(name: str) -> None:
    labels = labels_of(positive=name)
    reading = read(labels, [(name, name, 0.5), (name, "", 0.5), (name, "x", 0.5)])
    assert labels.classes == ("x",)
    assert reading.accuracy[0] == pytest.approx((2 if name == "" else 1) / 3)


@pytest.mark.parametrize("listed", [["0", "1"], ["false", "true"]])
def test_numbers_and_booleans_are_the_classes_of_the_reference(listed: list[str]) -> None:
    labels = labels_of()
    labels.take_classes(CategoricalBins(listed))
    ways: list[tuple[Category, Category, float | None]] = [
        (said, actual, None) for said in (1, 1.0, True, "1", "true") for actual in (1, 1.0, True, "1", "true")
    ]
    reading = read(labels, [*ways, (0, "1", None), (False, 0.0, None)])
    assert labels.classes == (listed[1], listed[0])
    assert reading.accuracy[0] == pytest.approx(26 / 27)
    assert reading.recall[0].tolist() == [pytest.approx(25 / 26), 1]
    assert np.isnan(reading.mean_absolute_error[0])


def test_classes_of_the_configuration_come_before_those_of_the_reference() -> None:
    labels = labels_of(classes=("0", "1"))
    labels.take_classes(CategoricalBins(["false", "true"]))
    read(labels, [(1, 1, None), (0, 0, None)])
    assert labels.classes == ("0", "1")


def test_the_positive_class_is_that_of_the_reference_however_it_is_written() -> None:
    labels = labels_of(positive="1")
    labels.take_classes(CategoricalBins(["false", "true"]))
    reading = read(labels, [(True, True, 1.0), (False, False, 0.0)])
    assert reading.brier_score[0] == 0
