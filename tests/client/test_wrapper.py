from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from model_sidecar_client import monitored
from sklearn.linear_model import LinearRegression, LogisticRegression

from tests.client.test_measurement import Recorded

ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 4.0]])
FRAME = pd.DataFrame({"amount": [0.0, 1.0, 2.0, 3.0], "count": [1, 0, 5, 4]})


@pytest.fixture
def client() -> Iterator[Recorded]:
    made = Recorded()
    made.queue_events = 100
    yield made
    made.close()


def test_rows_are_logged_with_their_predictions_and_one_latency(client: Recorded) -> None:
    model = LogisticRegression().fit(FRAME, ["no", "no", "yes", "yes"])
    found = monitored(model, client).predict(FRAME)
    assert found.tolist() == model.predict(FRAME).tolist()
    assert [event[0] for event in client.events] == FRAME.to_dict("records")
    assert [event[1] for event in client.events] == found.tolist()
    assert len(set(client.latencies)) == 1


def test_probabilities_are_those_of_the_second_of_two_classes(client: Recorded) -> None:
    model = LogisticRegression().fit(ROWS, [False, False, True, True])
    found = monitored(model, client).predict_proba(ROWS)
    assert [event[2] for event in client.events] == found[:, 1].tolist()
    assert [event[1] for event in client.events] == model.predict(ROWS).tolist()


def test_of_more_classes_it_is_that_of_the_class_predicted(client: Recorded) -> None:
    model = LogisticRegression().fit(ROWS, ["a", "b", "c", "c"])
    found = monitored(model, client).predict_proba(ROWS)
    assert [event[2] for event in client.events] == found.max(axis=1).tolist()
    assert [event[1] for event in client.events] == model.predict(ROWS).tolist()


@pytest.mark.parametrize(
    "ids", [["a", "b", None, "d"], pd.Series([7, 8, 9, 10], index=[3, 2, 1, 0]), np.arange(4), FRAME.index]
)
def test_ids_are_those_of_the_rows_and_the_model_does_not_see_them(client: Recorded, ids: Any) -> None:
    model = monitored(LogisticRegression().fit(ROWS, [False, False, True, True]), client)
    model.predict_proba(ROWS, ids=ids)
    model.predict(ROWS, ids=ids)
    assert [event[5] for event in client.events] == [*ids, *ids]


@pytest.mark.parametrize("ids", [["a"] * 3, ["a"] * 5, 7, (c for c in "abcd")])
def test_ids_that_are_not_one_for_each_row_are_joined_to_none_and_fail_nothing(client: Recorded, ids: Any) -> None:
    model = monitored(LinearRegression().fit(ROWS, [1, 2, 3, 4]), client)
    assert len(model.predict(ROWS, ids=ids)) == 4
    assert client.events == []
    assert client.stats().dropped == {"invalid": 4}


@pytest.mark.parametrize(
    ("fit", "rows", "names", "expected"),
    [
        (FRAME, ROWS, None, ["amount", "count"]),
        (ROWS, ROWS.tolist(), None, ["x0", "x1"]),
        (ROWS, ROWS, ["a", "b"], ["a", "b"]),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_names_are_the_best_there_are(client: Recorded, fit: Any, rows: Any, names: Any, expected: list[str]) -> None:
    model = monitored(LinearRegression().fit(fit, [1.0, 2.0, 3.0, 4.0]), client, feature_names=names)
    assert model.n_features_in_ == 2
    model.predict(rows)
    assert client.events[1][0] == dict(zip(expected, [1.0, 0.0], strict=True))


def test_a_model_that_fails_is_an_error_and_fails_as_before(client: Recorded) -> None:
    with pytest.raises(ValueError, match="features"):
        monitored(LinearRegression().fit(ROWS, [1, 2, 3, 4]), client).predict([[1.0]])
    assert client.errors == [True]


def test_rows_that_cannot_be_logged_are_counted_and_fail_nothing(client: Recorded) -> None:
    model = monitored(LinearRegression().fit(ROWS, [1, 2, 3, 4]), client, feature_names=["too few"])
    assert len(model.predict(ROWS)) == 4
    assert client.events == []
    assert client.stats().dropped == {"invalid": 4}


def test_of_a_call_with_very_many_rows_the_rest_is_counted(client: Recorded) -> None:
    model = monitored(LinearRegression().fit(ROWS, [1, 2, 3, 4]), client)
    model.predict(np.zeros((250, 2)))
    assert len(client.events) == 100
    assert client.stats().dropped == {"queue_full": 150}
