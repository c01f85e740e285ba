"""A model in the manner of scikit-learn that logs what it predicts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import repeat
from typing import Any

from model_sidecar_client.client import Client


def monitored(model: Any, client: Client, *, feature_names: Sequence[str] | None = None) -> Any:
    """Return the model with `predict` and `predict_proba` logged, an event a row; all else is the model's own.

    Names of features are `feature_names`, those of the columns of a data frame, those the model was fitted with, or
    `x0`, `x1`, …. Each row carries the latency of its call. Of two classes the probability is that of the second, of
    more that of the class predicted. Both methods take `ids` besides, one for each row, which the model does not see.
    """
    return _Monitored(model, client, None if feature_names is None else [str(name) for name in feature_names])


class _Monitored:
    def __init__(self, model: Any, client: Client, names: Sequence[str] | None) -> None:
        self._model = model
        self._client = client
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model, name)

    def predict(self, rows: Any, *args: Any, ids: Collection[Any] | None = None, **kwargs: Any) -> Any:
        """Predict, and log features and predictions."""
        with self._client.measure() as measurement:
            predictions = self._model.predict(rows, *args, **kwargs)
            measurement.stop()
            self._log(rows, predictions, ids, lambda: ((label, None) for label in predictions))
        return predictions

    def predict_proba(self, rows: Any, *args: Any, ids: Collection[Any] | None = None, **kwargs: Any) -> Any:
        """Predict probabilities, and log features, the likeliest class and the probability."""
        with self._client.measure() as measurement:
            probabilities = self._model.predict_proba(rows, *args, **kwargs)
            measurement.stop()
            self._log(rows, probabilities, ids, lambda: map(self._outcome, probabilities))
        return probabilities

    def _outcome(self, probabilities: Any) -> tuple[Any, Any]:
        shares = [float(share) for share in probabilities]
        best = shares.index(max(shares))
        return self._model.classes_[best], shares[1 if len(shares) == 2 else best]

    def _log(self, rows: Any, results: Any, ids: Collection[Any] | None, outcomes: Callable[[], Any]) -> None:
        """Log rows with what came of them; of a call with more rows than the queue may have, only so many."""
        logged, total = 0, 1
        try:
            total = len(results)
            most = self._client.queue_events
            features = _features(rows, self._names, self._model, most)
            if ids is not None and len(ids) != total:  # the label of one row would become that of another
                raise ValueError(f"{len(ids)} ids for {total} rows")
            if len(features) != min(total, most):
                raise ValueError(f"{total} results for {len(features)} rows")
            named = repeat(None) if ids is None else ids
            for row, (prediction, probability), id_ in zip(features, outcomes(), named):
                self._client.log(row, prediction, probability, id=id_)
                logged += 1
        except Exception:  # noqa: BLE001  (rows may be of any kind, and monitoring must not fail the model)
            self._client.drop("invalid", total - logged)
        else:
            if total > logged:
                self._client.drop("queue_full", total - logged)


def _features(rows: Any, names: Sequence[str] | None, model: Any, most: int) -> list[dict[str, Any]]:
    if hasattr(rows, "columns") and hasattr(rows, "iloc"):
        some = rows.iloc[:most]
        columns = [some.iloc[:, i].tolist() for i in range(some.shape[1])]
        names = names or [str(name) for name in rows.columns]
        return _named(names, zip(*columns))
    some = rows[:most]
    values = some.tolist() if hasattr(some, "tolist") else some
    if names is None:
        fitted = getattr(model, "feature_names_in_", None)
        names = [f"x{i}" for i in range(len(values[0]))] if fitted is None else [str(name) for name in fitted]
    return _named(names, values)


def _named(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    named = []
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"{len(names)} names for {len(row)} values")
        named.append(dict(zip(names, row)))
    return named
