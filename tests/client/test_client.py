from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_sidecar_client import Client

from tests.client.support import EVENT, TRANSPORTS, Listening, client_to, counted, listening, total
from tests.plugins.serving import fraud_config, samples, value, wait_until


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_events_arrive(up: Listening, transport: str) -> None:
    before = counted(up.process.url, transport)
    with client_to(up.targets[transport]) as client:
        for i in range(1234):
            client.log(EVENT, "ok", 0.5, latency_ms=i % 50)
        assert client.flush()
        assert client.stats().accepted == total(client.stats()) == 1234
    wait_until(lambda: counted(up.process.url, transport) == before + 1234)


def test_a_few_events_are_sent_in_time_without_a_flush(up: Listening) -> None:
    before = counted(up.process.url, "http")
    client = Client(up.targets["http"], flush_seconds=0.05)
    client.log(EVENT)
    wait_until(lambda: counted(up.process.url, "http") == before + 1)
    client.close()


def test_values_outputs_latency_and_errors_are_those_that_were_logged(tmp_path: Path) -> None:
    with listening(tmp_path, config=fraud_config(tmp_path)) as running:
        for transport in TRANSPORTS:
            client = Client(running.targets[transport], model="fraud")
            client.log({"amount": 5.0, "merchant": "visa"}, "fraud", 0.9, latency_ms=20)
            client.log({"amount": None}, "legitimate", 0.1, latency_ms=40, error=True)
            client.log(None, latency_ms=60, error=True)
            client.close()
        wait_until(lambda: counted(running.process.url, "unix_datagram") == 3)
        found = samples(running.process.url)
        assert value(found, "model_predictions_total", model="fraud") == 9
        assert value(found, "model_prediction_errors_total", model="fraud") == 6
        assert value(found, "model_latency_seconds_sum", model="fraud") == pytest.approx(0.36)
        bins = "model_bin_observations_total"
        assert value(found, bins, feature="amount", bin="missing") == 3
        assert value(found, bins, feature="merchant", range="visa") == 3
        assert value(found, bins, feature="prediction", range="fraud") == 3


@pytest.mark.parametrize("transport", ["http", "unix_stream"])
def test_what_the_sidecar_refuses_is_counted_and_said(
    up: Listening, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    with client_to(up.targets[transport]) as client:
        client.log(EVENT, latency_ms=-1)
        client.log(EVENT)
        assert client.flush()
        assert (client.stats().accepted, client.stats().rejected) == (1, 1)
        [problem] = client.problems()
        assert problem.startswith("events refused so far: 1, the last for $.latency_ms")
    assert problem in caplog.messages


def test_what_is_no_sidecar_is_named_by_its_answer(up: Listening) -> None:
    with client_to(f"{up.targets['http']}/elsewhere") as client:
        client.log(EVENT)
        assert client.flush()
        assert client.stats().rejected == 1
        [problem] = client.problems()
        assert problem.startswith("events refused so far: 1, the last for ")
        assert "404" in problem or "no such" in problem


def test_what_no_event_can_be_is_dropped_and_costs_the_others_nothing(up: Listening) -> None:
    with client_to(up.targets["http"]) as client:
        odd: list[Any] = [7, "text", [("a",)], {1: 2.0}, {"a": object()}, {"a": "\ud800"}, {"a": [1]}, {"a": b"x"}]
        for features in odd:
            client.log(features)
            client.log(EVENT)
        client.log(None)
        assert client.flush()
        assert client.stats().dropped == {"invalid": len(odd), "no_features": 1}
        assert client.stats().accepted == len(odd)


def test_later_changes_of_the_callers_features_are_not_seen(tmp_path: Path) -> None:
    with listening(tmp_path, config=fraud_config(tmp_path)) as running, client_to(running.targets["http"]) as client:
        features: dict[str, Any] = {"amount": 5.0, "merchant": "visa"}
        client.log(features)
        features["merchant"] = "amex"
        assert client.flush()
        assert value(samples(running.process.url), "model_bin_observations_total", range="visa") == 1


class Contrary:
    """An object that refuses to be looked at in any way."""

    def _raise(self, *_: object) -> Any:
        raise RuntimeError("no")

    __iter__ = __len__ = __bool__ = __float__ = __getattr__ = __str__ = __repr__ = _raise
    keys = __getitem__ = _raise
    __hash__ = object.__hash__


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Contrary)
    | st.complex_numbers() | st.decimals() | st.datetimes() | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.lists(st.tuples(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING), max_size=8))
def test_nothing_that_is_logged_raises_and_everything_is_accounted_for(up: Listening, calls: list[Any]) -> None:
    with client_to(up.targets["http"]) as client:
        for arguments in calls:
            client.log(*arguments)
        client.log(EVENT)
        assert client.flush()
        stats = client.stats()
        assert total(stats) == len(calls) + 1
        assert stats.queued == 0
        assert stats.dropped.keys() <= {"invalid", "no_features"}
        assert stats.accepted >= 1


def test_one_that_is_larger_than_a_datagram_is_dropped_and_batches_are_split(up: Listening) -> None:
    before = counted(up.process.url, "unix_datagram")
    with client_to(up.targets["unix_datagram"]) as client:
        for i in range(500):
            client.log({"merchant": str(i) + "x" * 900})
        client.log({"merchant": "x" * 140_000})
        assert client.flush()
        assert client.stats().dropped == {"too_large": 1}
        assert client.stats().accepted == 500
    wait_until(lambda: counted(up.process.url, "unix_datagram") == before + 500)


@pytest.mark.parametrize(
    "target", ["", "ftp://x", "localhost:8000", "unix://host/path", "unix://", "http://", "http://x:0", "http://x:y"]
)
def test_a_target_that_cannot_be_is_told_when_the_client_is_made(target: str) -> None:
    with pytest.raises(ValueError, match=r"target|Port"):
        Client(target)


@pytest.mark.parametrize("transport", ["unix_stream", "unix_datagram"])
@pytest.mark.parametrize("with_scheme", [True, False], ids=["scheme", "path"])
def test_the_target_comes_from_the_environment(
    up: Listening, monkeypatch: pytest.MonkeyPatch, transport: str, with_scheme: bool
) -> None:
    target = up.targets[transport]
    monkeypatch.setenv("MODEL_SIDECAR_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MODEL_SIDECAR_SOCKET", target if with_scheme else target.partition("://")[2])
    before = counted(up.process.url, transport)
    with closing(Client()) as client:
        for _ in range(700):
            client.log(EVENT)
        assert client.flush()
        assert client.stats().accepted == 700
    wait_until(lambda: counted(up.process.url, transport) == before + 700)


def test_a_path_may_come_to_be_a_socket_of_the_other_kind(tmp_path: Path) -> None:
    stream, datagram, path = tmp_path / "stream", tmp_path / "datagram", tmp_path / "either"
    with listening(tmp_path) as running, client_to(str(path)) as client:
        for kind in (datagram, stream, datagram):
            path.unlink(missing_ok=True)
            path.symlink_to(kind)
            client._delivery._sender.close()
            for i in range(500):
                client.log({"merchant": str(i) + "x" * 900})  # more than a datagram takes
            assert client.flush()
        assert client.stats().accepted == total(client.stats()) == 1500
        wait_until(lambda: counted(running.process.url, "unix_datagram") == 1000)
        assert counted(running.process.url, "unix_stream") == 500
