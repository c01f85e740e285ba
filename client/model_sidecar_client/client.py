"""Client: what an application calls. It never waits for the sidecar, and never raises but when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from os import getpid
from types import TracebackType
from typing import Any, TypeVar, cast

from model_sidecar_client.counts import Stats
from model_sidecar_client.delivery import Delivery, Options
from model_sidecar_client.event import Event, Label
from model_sidecar_client.measurement import CURRENT, Measurement
from model_sidecar_client.processes.process import watch
from model_sidecar_client.processes.sigterm import EXIT_SECONDS, send_before_sigterm, sigterm_problem
from model_sidecar_client.wire.transport import default_target

F = TypeVar("F", bound=Callable[..., Any])


class Client:
    """Log prediction events to a sidecar, from any thread, without waiting for it.

    `target` is `http://HOST:PORT`, `unix:///PATH` of a stream socket, `unixgram:///PATH` of a datagram socket or
    `/PATH` of either; without it MODEL_SIDECAR_SOCKET, MODEL_SIDECAR_URL, or http://127.0.0.1:8000. `model` names the
    model where the sidecar has several. `sigterm` sends what is queued when SIGTERM comes. Raises ValueError where the
    target or a number cannot be.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        model: str | None = None,
        batch_events: int = 500,
        flush_seconds: float = 1.0,
        queue_events: int = 10_000,
        timeout_seconds: float = 1.0,
        sigterm: bool = True,
    ) -> None:
        if min(batch_events, queue_events) < 1 or not (flush_seconds > 0 and timeout_seconds > 0):
            raise ValueError("batch_events and queue_events are at least 1, flush_seconds and timeout_seconds above 0")
        self.queue_events = queue_events
        self._options = Options(
            target=default_target() if target is None else target,
            model=None if model is None else str(model),
            batch_events=min(batch_events, queue_events),
            flush_seconds=min(flush_seconds, 3600.0),
            queue_events=queue_events,
            timeout_seconds=timeout_seconds,
        )
        self._measures = False
        self._delivery = Delivery(self._options)
        self._begun = {getpid(): self._delivery}
        self._asked: list[Callable[[], str | None]] = [sigterm_problem]
        watch(self)
        if sigterm:
            send_before_sigterm(self)

    def __enter__(self) -> Client:
        """Return the client, which is closed with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def log(
        self,
        features: Mapping[str, Any] | None,
        prediction: Any = None,
        probability: Any = None,
        latency_ms: Any = None,
        error: bool = False,
        id: Any = None,
    ) -> None:
        """Queue an event; neither waits nor raises, whatever it is given. Only an error may come without features.

        An `id` is what `label` refers to later: text, an integer, or what `str` makes text of.
        """
        try:
            measurement = CURRENT.get() if self._measures else None
            delivery = self._delivery
            if not delivery.own[0]:  # a fork without Python's hooks, such as uWSGI's
                delivery = self._own()
            if measurement is None:
                queue = delivery.queue
                queued = len(queue)
                if queued < delivery.more_at and type(features) is dict:
                    failed = True if error else False  # noqa: SIM210  (bool() takes longer)
                    queue.append((features.copy(), prediction, probability, latency_ms, failed, id))
                    return
                if queued >= self.queue_events:
                    delivery.drop_full()  # before anything is copied: a sidecar that hangs costs least
                    if delivery.thread is None:
                        delivery.start()
                    return
            own = None if features is None else dict(features)
            failed = bool(error)
            if own is None and not failed:
                self._own().counts.drop("no_features")
                return
            event = (own, prediction, probability, latency_ms, failed, id)
            if measurement is None or not measurement.hold(self, event):
                self._put(event)
        except Exception:  # noqa: BLE001  (what is passed may raise anything, and monitoring must not fail the model)
            self._own().counts.drop("invalid")

    def label(self, id: Any, label: Any) -> None:
        """Queue what turned out to be true of the prediction with this id; neither waits nor raises."""
        try:
            if id is None or label is None:
                self._own().counts.drop("invalid")
            else:
                self._put((id, label))
        except Exception:  # noqa: BLE001  (as in `log`)
            self._own().counts.drop("invalid")

    def drop(self, reason: str, events: int) -> None:
        """Count events that the caller had and could not log."""
        self._own().counts.drop(reason, events)

    def measure(self) -> Measurement:
        """Return a context manager whose latency, and failure, the events logged in its block carry.

        Where none is logged, a failure is an event of its own, and a success is none.
        """
        self._measures = True
        return Measurement(self, self._put, most_events=self.queue_events)

    def timed(self, function: F) -> F:
        """Measure every call of a function, or of a coroutine function until it returns."""
        from inspect import iscoroutinefunction

        if iscoroutinefunction(function):

            @wraps(function)
            async def measured_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self.measure():
                    return await function(*args, **kwargs)

            return cast("F", measured_coroutine)

        @wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.measure():
                return function(*args, **kwargs)

        return cast("F", measured)

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what has been logged so far; returns whether that was done, or given up, within `timeout` seconds."""
        return self._own().flush(timeout)

    def hurry(self) -> None:
        """Send every event at once from now on, because the process is about to end; never waits."""
        self._own().hurry()

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Send what is queued within `timeout` seconds, drop the rest and stop; events logged later are dropped."""
        self._own().close(timeout)

    def begin_in_child(self) -> None:
        """Reset in the child of a fork: the parent sends what it has queued."""
        self._own()

    def stats(self) -> Stats:
        """Return how many events and labels were accepted, rejected, dropped and are queued, in this process."""
        return self._own().stats()

    def problems(self) -> list[str]:
        """Return what seems wrong with the way the client is used, a sentence each; none where nothing does."""
        return [*self._own().problems(), *(problem for ask in self._asked if (problem := ask()) is not None)]

    def also_ask(self, problem: Callable[[], str | None]) -> None:
        """Have `problems` ask this function, too; it returns a sentence, or None where all is well."""
        self._asked.append(problem)

    def _put(self, event: Event | Label) -> None:
        self._own().put(event)

    def _own(self) -> Delivery:
        """Return the delivery of this process: in the child of a fork, a new one that all its threads share."""
        delivery, pid = self._delivery, getpid()
        if delivery.own[0]:
            return delivery
        made = Delivery(self._options)
        made.closed = delivery.closed
        # The interpreter takes this step at once, so that of several threads one makes what all use.
        self._delivery = own = self._begun.setdefault(pid, made)
        if own is made:
            delivery.abandon()
            self._begun = {pid: own}
        return own
