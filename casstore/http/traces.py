"""A span of OpenTelemetry for each request, where whoever runs the server has said where spans go."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Protocol

from starlette.types import Scope

__all__ = ["Told", "span"]

_NOTHING: Final = nullcontext()


class Told(Protocol):
    """What a span tells of a request when it is over."""

    scope: Scope
    status: int

    @property
    def route(self) -> str:
        """The route as it is declared."""
        ...


def span(request: Told) -> AbstractContextManager[None]:
    """The span around a request; nothing where nobody has set up where it goes, which costs more than a small read."""
    trace = _api()
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NOTHING
    return _around(trace.get_tracer("casstore.http"), request)


@contextmanager
def _around(tracer: Any, request: Told) -> Iterator[None]:
    with tracer.start_as_current_span(request.scope["method"]) as found:
        try:
            yield
        finally:
            found.update_name(f"{request.scope['method']} {request.route}")
            found.set_attribute("http.response.status_code", request.status)


@functools.cache  # Python looks on the disk for what is not there, each time it is asked
def _api() -> Any:
    try:
        from opentelemetry import trace  # noqa: PLC0415 - it need not be there
    except ImportError:
        return None
    return trace
