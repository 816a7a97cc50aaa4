"""Counters of a server, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from recurra.deploy.serve.libraries import prometheus_client as prometheus

__all__ = ["ServeMetrics"]

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class ServeMetrics:
    """What a server counts; each server has a registry of its own."""

    def __init__(self, under_way: Callable[[], int], kept: Callable[[], int]) -> None:
        self.registry: prometheus.CollectorRegistry = prometheus.CollectorRegistry()
        own = self.registry
        self.requests: prometheus.Counter = prometheus.Counter(
            "recurra_requests", "HTTP requests by path and status", ["path", "status"], registry=own
        )
        self.messages: prometheus.Counter = prometheus.Counter(
            "recurra_messages", "Messages of streams, by run and end", ["run", "end"], registry=own
        )
        self.seconds: prometheus.Histogram = prometheus.Histogram(
            "recurra_message_seconds",
            "Seconds from a message to the end of its answers",
            ["run"],
            registry=own,
            buckets=_SECONDS,
        )
        self.streams: prometheus.Gauge = prometheus.Gauge(
            "recurra_streams", "Streams that are open", registry=own
        )
        self._batch = prometheus.Histogram(
            "recurra_step_clients", "Clients in a pooled step", registry=own, buckets=_SIZES
        )
        self._step = prometheus.Histogram(
            "recurra_step_seconds", "Seconds of a pooled step", registry=own, buckets=_SECONDS
        )
        queue = prometheus.Gauge(
            "recurra_messages_under_way", "Messages that wait or are worked on", registry=own
        )
        queue.set_function(under_way)
        states = prometheus.Gauge("recurra_states_kept", "States of ended streams", registry=own)
        states.set_function(kept)

    def pooled(self, items: int, seconds: float) -> None:
        """A step of so many clients has been done."""
        self._batch.observe(items)
        self._step.observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """All of it, and its content type."""
        return prometheus.generate_latest(self.registry), prometheus.CONTENT_TYPE_LATEST
