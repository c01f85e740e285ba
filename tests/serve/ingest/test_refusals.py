"""Why events are refused is logged, but not over and over."""

import logging

import pytest

from sidecar.events.refusals import Refusal, Refusals
from sidecar.serve.ingest.refusals import SILENCE_SECONDS, RefusalLog


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(count: int) -> Refusals:
    refusals = Refusals()
    for index in range(count):
        refusals.add(Refusal(index, f"$.features.f{index}", "Expected `float`"))
    return refusals


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [record.__dict__["fields"] for record in caplog.records]


def test_the_first_refusal_is_logged_with_its_path_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        RefusalLog("http", Clock()).tell(refused(3))
    expected = {"transport": "http", "events": 3, "path": "$.features.f0", "reason": "Expected `float`"}
    assert fields(caplog) == [expected]


def test_refusals_that_follow_are_told_as_a_number_when_it_is_time(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = RefusalLog("http", clock)
    with caplog.at_level(logging.WARNING):
        log.tell(refused(1))
        log.tell(refused(2))
        log.tell_body("the body is empty")
        clock.now += SILENCE_SECONDS
        log.tell(refused(4))
    assert [entry["events"] for entry in fields(caplog)] == [1, 7]


def test_nothing_refused_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        RefusalLog("http", Clock()).tell(refused(0))
    assert caplog.records == []
