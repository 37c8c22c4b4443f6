"""Where OpenTelemetry's API is installed, each request is a span: of the route and its outcome, never of names or tokens."""

from __future__ import annotations

import time

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture(scope="module")
def exported():
    """The spans of this process, from now on; a provider is set once in the life of a process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("PUT", "/v1/artifacts/secret/plan", "PUT /v1/artifacts/{ref:path}", 201),
        ("GET", "/v1/artifacts/secret/nothing", "GET /v1/artifacts/{ref:path}", 404),
        ("GET", "/secret/way", "GET -", 404),
    ],
)
def test_a_request_is_a_span_without_names(served, exported, method, path, name, status):
    exported.clear()
    with served.client("traced-tenant") as client:
        assert client.request(method, path, content=b"secret" if method == "PUT" else None).status_code == status
    until = time.monotonic() + 10
    while not exported.get_finished_spans() and time.monotonic() < until:  # it ends when the answer has gone out
        time.sleep(0.005)
    (span,) = exported.get_finished_spans()
    assert span.name == name
    assert span.attributes["http.response.status_code"] == status
    told = span.to_json()
    assert "secret" not in told
    assert "traced-tenant" not in told
