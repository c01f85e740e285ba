import asyncio
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from sidecar.cli.replay.rows import Events, Rows
from sidecar.cli.replay.send import BodyForm, SendError, Summary, body_of, send, target
from sidecar.data.kinds import Writing
from sidecar.reference import ProfileError


class Fake:
    """A sidecar by its contract: it turns the first `overloads` bodies away, and refuses events that lack `x`."""

    def __init__(self, *, overloads: int = 0, status: int | None = None) -> None:
        self.overloads, self.status = overloads, status
        self.events: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.times: list[float] = []

    async def monitor(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        self.times.append(asyncio.get_running_loop().time())
        if self.status is not None:
            return web.Response(status=self.status, text="no")
        if self.overloads:
            self.overloads -= 1
            return web.Response(status=503, headers={"Retry-After": "0"})
        if request.content_type == "application/x-ndjson":
            events = [msgspec.json.decode(line) for line in body.splitlines()]
        else:
            events = msgspec.json.decode(body)
        refused = [i for i, event in enumerate(events) if event["features"].get("x") is None]
        self.events += [event for i, event in enumerate(events) if i not in refused]
        answer: dict[str, Any] = {"accepted": len(events) - len(refused), "rejected": len(refused)}
        if refused:
            answer["errors"] = [{"index": i, "path": "$.features.x", "reason": "is missing"} for i in refused]
        return web.json_response(answer, status=202 if not refused else 200 if len(refused) < len(events) else 422)

    async def start(self, socket: Path) -> web.AppRunner:
        application = web.Application()
        application.router.add_post("/monitor", self.monitor)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        return runner


async def replay(fake: Fake, tmp_path: Path, bodies: list[Events], **options: Any) -> Summary:
    runner = await fake.start(tmp_path / "s")
    summary = Summary()
    try:
        await send(bodies, str(tmp_path / "s"), summary, **options)
    finally:
        await runner.cleanup()
    return summary


def bodies_of(*values: list[Any]) -> list[Events]:
    return [Events(len(column), {"x": column}, {}) for column in values]


async def test_every_event_is_sent_and_counted(tmp_path: Path) -> None:
    fake = Fake()
    summary = await replay(fake, tmp_path, bodies_of([1, 2], [3]))
    assert (summary.sent, summary.accepted, summary.refused, summary.errors) == (3, 3, 0, [])
    assert [event["features"]["x"] for event in fake.events] == [1, 2, 3]


async def test_refused_events_are_told_by_their_row_in_the_data(tmp_path: Path) -> None:
    summary = await replay(Fake(), tmp_path, bodies_of([1, 2], [3, None], [None] * 20))
    assert (summary.sent, summary.accepted, summary.refused) == (24, 3, 21)
    assert len(summary.errors) == 10
    assert summary.errors[:2] == ["row 4: $.features.x: is missing", "row 5: $.features.x: is missing"]


async def test_a_body_that_was_turned_away_is_sent_again_as_it_was(tmp_path: Path) -> None:
    fake = Fake(overloads=2)
    summary = await replay(fake, tmp_path, bodies_of([1], [2]))
    assert (summary.accepted, summary.retries) == (2, 2)
    assert fake.bodies[0] == fake.bodies[1] == fake.bodies[2]
    assert len(fake.events) == 2


@pytest.mark.parametrize(("status", "hint"), [(413, "smaller --batch"), (400, "answered 400: no"), (404, "404")])
async def test_another_answer_ends_the_replay(tmp_path: Path, status: int, hint: str) -> None:
    with pytest.raises(SendError, match=hint):
        await replay(Fake(status=status), tmp_path, bodies_of([1]))


async def test_a_sidecar_that_is_not_there_ends_the_replay(tmp_path: Path) -> None:
    with pytest.raises(SendError, match="gone"):
        await send(bodies_of([1]), str(tmp_path / "gone"), Summary())
    with pytest.raises(SendError, match=r"127\.0\.0\.1:1"):
        await send(bodies_of([1]), "127.0.0.1:1", Summary())


async def test_a_rate_spreads_bodies_over_time(tmp_path: Path) -> None:
    fake = Fake()
    await replay(fake, tmp_path, bodies_of([1] * 10, [2] * 10, [3] * 10), rate=200)
    assert fake.times[2] - fake.times[0] >= 0.09  # 20 events at 200 a second; asyncio may wake up a little early


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("http://127.0.0.1:8000", ("http://127.0.0.1:8000/monitor", None)),
        ("http://127.0.0.1:8000/", ("http://127.0.0.1:8000/monitor", None)),
        ("http://h/x/monitor", ("http://h/x/monitor", None)),
        ("localhost:8000", ("http://localhost:8000/monitor", None)),
        ("[::1]:8000", ("http://[::1]:8000/monitor", None)),
        ("/run/s.sock", ("http://localhost/monitor", "/run/s.sock")),
        ("unix:///run/s", ("http://localhost/monitor", "/run/s")),
        ("s.sock", ("http://localhost/monitor", "s.sock")),
    ],
)
def test_a_target_is_an_address_or_a_socket(to: str, expected: tuple[str, str | None]) -> None:
    assert target(to) == expected


def test_another_scheme_is_refused() -> None:
    with pytest.raises(SendError, match="neither"):
        target("ftp://h")


EVENTS = Events(2, {"a": [1.0, None], "b": ["x", True]}, {"latency_ms": [3.0, None], "error": [False, True]})


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_rows_are_objects_in_lines_or_an_array(form: BodyForm) -> None:
    body, media_type = body_of(EVENTS, form, "fraud")
    rows = [json.loads(line) for line in body.splitlines()] if form == "ndjson" else json.loads(body)
    assert media_type == ("application/x-ndjson" if form == "ndjson" else "application/json")
    assert rows == [
        {"features": {"a": 1.0, "b": "x"}, "latency_ms": 3.0, "error": False, "model": "fraud"},
        {"features": {"a": None, "b": True}, "latency_ms": None, "error": True, "model": "fraud"},
    ]


def test_rows_are_columns_with_the_model_beside_them() -> None:
    columns = {"features": EVENTS.features, **EVENTS.others}
    assert json.loads(body_of(EVENTS, "columns", "fraud")[0]) == {"model": "fraud", "columns": columns}
    assert json.loads(body_of(EVENTS, "columns", None)[0]) == {"columns": columns}


def test_events_without_features_or_other_keys_are_events() -> None:
    assert json.loads(body_of(Events(2, {}, {"error": [True, True]}), "json", None)[0]) == [
        {"features": {}, "error": True},
        {"features": {}, "error": True},
    ]


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    columns = {
        "number": [1.5, math.nan, math.inf, None],
        "whole": pa.array([1, 2, 3, None]),
        "text": ["a", None, "NA", "ü"],
        "flag": [True, False, None, True],
        "time": pa.array([0, 1, None, 3], pa.timestamp("s")),
        "failed": [0, 1, None, 0],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def test_values_are_what_a_program_would_have_sent(parquet: Path) -> None:
    told: list[str] = []
    others = {"prediction": "flag", "error": "failed", "latency_ms": "whole"}
    rows = Rows([parquet], others=others, writing=Writing(nulls=("NA",)), notice=told.append)
    (events,) = rows.bodies(100)
    assert events == Events(
        4,
        {"number": [1.5, None, None, None], "text": ["a", None, None, "ü"]},
        {
            "prediction": [True, False, None, True],
            "error": [False, True, False, False],
            "latency_ms": [1.0, 2.0, 3.0, None],
        },
    )
    assert told == ["column 'time' is left out: it holds time values"]


def test_times_are_sent_as_iso_text_where_they_are_asked_for(parquet: Path) -> None:
    (events,) = Rows([parquet], features=["time"], others={}).bodies(100)
    assert events.features == {"time": ["1970-01-01T00:00:00", "1970-01-01T00:00:01", None, "1970-01-01T00:00:03"]}


def test_numbers_named_as_categorical_are_sent_as_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("code\n007\n12\n")
    (events,) = Rows([tmp_path / "x.csv"], others={}, categorical=["code"]).bodies(10)
    assert events.features == {"code": ["007", "12"]}


@pytest.mark.parametrize("most", [1, 3, 7, 1000])
def test_bodies_are_as_large_as_asked_for_across_files(tmp_path: Path, most: int) -> None:
    for part in range(3):
        lines = "".join(f"{part * 10 + i}\n" for i in range(10))
        (tmp_path / f"{part}.csv").write_text("x\n" + lines)
    bodies = list(Rows([tmp_path], others={}, limit=25).bodies(most))
    assert [value for body in bodies for value in body.features["x"]] == list(range(25))
    assert [body.rows for body in bodies[:-1]] == [most] * (len(bodies) - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["gone"]}, "no column named 'gone'"),
        ({"others": {"latency_ms": "text"}}, "column 'text' is to be latency_ms but holds values such as 'NA'"),
        ({"others": {"error": "text"}}, "column 'text' is to be error"),
        ({"others": {"prediction": "time"}}, "column 'time' holds times"),
    ],
)
def test_columns_that_cannot_be_sent_are_refused(parquet: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        Rows([parquet], **{"others": {}, **options})
