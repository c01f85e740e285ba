"""SIGKILL under load: everything that was acknowledged is counted, and nothing by half."""

import multiprocessing
import os
import random
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from sidecar.storage.store import Pace
from tests.plugins.serving import TIMEOUT_SECONDS, Samples, fraud_config, samples, value
from tests.reliability.load import Sender, body, senders
from tests.reliability.quick import QUICK, serve

KILLS = 25
"""Times each of the two paces."""

FEATURES = ("amount", "merchant", "prediction", "probability")

# Starting costs next to nothing where everything is imported: a real process of its own all the same.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.reliability.quick"])


def _serve(log: str, arguments: list[str], pace: Pace) -> None:
    lines = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(lines, 2)
    serve(arguments, pace)


@dataclass
class Killable:
    """A sidecar that is started and killed again and again."""

    directory: Path
    pace: Pace
    url: str = ""
    process: BaseProcess | None = field(default=None)

    @property
    def storage(self) -> Path:
        return self.directory / "kept"

    @property
    def log(self) -> Path:
        return self.directory / "sidecar.log"

    @property
    def unix_stream(self) -> Path:
        return self.directory / "stream.sock"

    @property
    def unix_datagram(self) -> Path:
        return self.directory / "datagram.sock"

    def start(self) -> None:
        self.log.unlink(missing_ok=True)
        arguments = [
            f"--config.file={self.directory / 'sidecar.yml'}",
            "--ingest.listen-address=127.0.0.1:0",
            f"--ingest.unix-stream={self.unix_stream}",
            f"--ingest.unix-datagram={self.unix_datagram}",
            f"--storage.path={self.storage}",
        ]
        process = FORKS.Process(target=_serve, args=(str(self.log), arguments, self.pace))
        process.start()
        self.process = process
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (match := re.search(r"address=(\S+)", self.log.read_text() if self.log.exists() else "")):
            assert process.is_alive(), self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.002)
        self.url = f"http://{match[1]}"

    def kill(self) -> None:
        assert self.process is not None
        if self.process.is_alive():
            assert self.process.pid is not None
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(TIMEOUT_SECONDS)


@pytest.fixture(params=[Pace(), QUICK], ids=["usual pace", "checkpoints all the time"])
def killable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Killable]:
    fraud_config(tmp_path)
    sidecar = Killable(tmp_path, request.param)
    try:
        sidecar.start()
        yield sidecar
    finally:
        sidecar.kill()


def counted(of: Samples) -> Counter[str]:
    """Return the events counted by transport, once the parts were found to agree."""
    by_transport = Counter(
        {dict(labels)["transport"]: int(v) for (name, labels), v in of.items() if name == "model_sidecar_events_total"}
    )
    total = by_transport.total()
    assert value(of, "model_predictions_total") == total
    assert value(of, "model_latency_seconds_count") == total
    assert value(of, "model_latency_seconds_sum") == pytest.approx(total * 0.0001)
    for feature in FEATURES:
        bins = [
            v
            for (name, pairs), v in of.items()
            if name == "model_bin_observations_total" and ("feature", feature) in pairs
        ]
        assert sum(bins) == total, feature
        assert value(of, "model_window_samples", feature=feature, window="24h") == total
    return by_transport


def falls(before: Samples, after: Samples) -> dict[str, tuple[float, float]]:
    """Return the counters that are smaller than they were."""
    kinds = ("_total", "_count", "_sum", "_bucket")
    return {
        f"{name}{labels}": (old, after[name, labels])
        for (name, labels), old in before.items()
        if name.endswith(kinds) and "storage" not in name and after[name, labels] < old
    }


def send_datagrams(path: Path, number: int) -> int:
    """Send events that nobody acknowledges, and return how many went out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(path))
        sent = 0
        with suppress(OSError):
            for _ in range(number):
                sender.send(body("application/json", 1), socket.MSG_DONTWAIT)
                sent += 1
        return sent


def load_until_killed(sidecar: Killable, dice: random.Random) -> tuple[list[Sender], int, Samples]:
    """Let every connection have some answers, then scrape and kill the sidecar in the middle of the rest."""
    load = senders(sidecar.url, sidecar.unix_stream)
    for sender in load:
        sender.start()
    datagrams = send_datagrams(sidecar.unix_datagram, dice.randrange(20))
    enough, deadline = dice.randrange(1, 40), time.monotonic() + TIMEOUT_SECONDS
    while any(sender.acknowledged < enough for sender in load):
        assert all(sender.is_alive() for sender in load), sidecar.log.read_text()
        assert time.monotonic() < deadline
        time.sleep(dice.random() * 0.003)
    scraped = samples(sidecar.url)
    sidecar.kill()
    for sender in load:
        sender.stop()
    return load, datagrams, scraped


def whole_bodies(unanswered: Iterable[int]) -> set[int]:
    """Return the numbers of events that some of these bodies add up to: each one counts as a whole or not at all."""
    sums = {0}
    for events in unanswered:
        sums |= {before + events for before in sums}
    return sums


def test_what_was_acknowledged_is_counted_after_every_kill(killable: Killable) -> None:
    dice = random.Random(KILLS)
    known = counted(samples(killable.url))
    interrupted = 0
    for _ in range(KILLS):
        load, datagrams, scraped = load_until_killed(killable, dice)
        interrupted += (killable.storage / "state.new").exists() or len(list(killable.storage.glob("journal-*"))) > 1
        killable.start()
        after = samples(killable.url)
        now = counted(after)
        assert falls(scraped, after) == {}
        for transport in ("http", "unix_stream"):
            mine = [sender for sender in load if sender.transport == transport]
            least = known[transport] + sum(sender.acknowledged for sender in mine)
            assert now[transport] - least in whole_bodies(sender.unanswered for sender in mine)
        assert known["unix_datagram"] <= now["unix_datagram"] <= known["unix_datagram"] + datagrams
        assert value(after, "model_sidecar_storage_healthy") == 1
        assert all(v == 0 for (name, _), v in after.items() if name == "model_sidecar_storage_set_aside_total")
        known = now
    assert "level=error" not in killable.log.read_text()
    assert known.total() > KILLS * 5
    if killable.pace == QUICK:
        assert interrupted > 0, "no kill came between the begin and the end of a checkpoint"
