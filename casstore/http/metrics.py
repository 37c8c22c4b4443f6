"""Metrics for Prometheus, of one application."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]


class Metrics:
    """What was asked, how it went, how long it took. Labels have routes, never names or tenants: there are few."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.under_way = Gauge("casstore_http_requests_under_way", "Requests under way.", registry=self._registry)
        self._seconds = Histogram(
            "casstore_http_request_seconds",
            "How long requests took, until the last byte was handed over.",
            ["method", "route", "status"],
            registry=self._registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )
        self._series: dict[
            tuple[str, str, int], Histogram
        ] = {}  # looking one up by its labels costs more than observing
        self._received = Counter("casstore_http_received_bytes", "Bytes of bodies received.", registry=self._registry)
        self._sent = Counter("casstore_http_sent_bytes", "Bytes of bodies sent.", registry=self._registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        series = self._series.get((method, route, status))
        if series is None:
            known = method if method in ("GET", "HEAD", "PUT", "POST", "DELETE") else "other"
            series = self._seconds.labels(known, route, str(status))
            if known != "other":
                self._series[method, route, status] = series
        series.observe(seconds)

    def moved(self, received: int, sent: int) -> None:
        """So many bytes of bodies came and went with it."""
        if received:
            self._received.inc(received)
        if sent:
            self._sent.inc(sent)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
