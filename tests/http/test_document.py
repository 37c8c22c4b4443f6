"""What the OpenAPI document says is so: requests are made of it, and answers judged by it. No server error, no answer that it does
not tell of.

CASSTORE_TEST_FUZZ examples of each operation are tried, of each sort; many for a run at length.
"""

from __future__ import annotations

import os
from collections import Counter
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = int(os.environ.get("CASSTORE_TEST_FUZZ", "4"))
AT_LENGTH = 100  # examples, from which on chance decides what is tried
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KNOWN = ["a/x", "a/x@1", "a/x@2", "a/x@prod", "y", "y@1", "gone@1", "y@latest~2026-08-01T00:00:00Z"]


@pytest.fixture(scope="module")
def furnished(served):
    """A tenant that has something of everything."""
    name = "fuzzed"
    with served.client(name) as client:
        for content in (b"1", b"2"):
            client.put("/v1/artifacts/a/x", content=content).raise_for_status()
        kind = {"Content-Type": "application/json"}
        client.put("/v1/artifacts/y?source=a/x@1", content=b'{"a": 1}', headers=kind).raise_for_status()
        client.put("/v1/artifacts/gone", content=b"gone").raise_for_status()
        client.put("/v1/aliases/a/x@1/prod").raise_for_status()
        client.put("/v1/tags/a/x@2/t").raise_for_status()
        client.delete("/v1/artifacts/gone@1").raise_for_status()
    return name


@pytest.fixture(scope="module")
def document(served):
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


def operations(document):
    return [found.ok() for found in document.get_all_operations()]


def cases(operation):
    """Requests as the document has them, others that it does not, and some about what is there."""
    sorts = [operation.as_strategy(mode) for mode in schemathesis.GenerationMode]
    places = {parameter.name for parameter in operation.path_parameters}
    if places & {"ref", "name"}:
        known = {"ref": st.sampled_from(KNOWN), "name": st.sampled_from(["a/x", "y", "gone"]), "role": st.just("main")}
        known |= {"alias": st.just("prod"), "tag": st.just("t"), "pointer": st.just("prod"), "verb": st.just("delete")}
        chosen = st.fixed_dictionaries({place: known[place] for place in places})
        sorts.append(chosen.flatmap(lambda values: operation.as_strategy(path_parameters=values)))
    return sorts


def _thorough(count, **more):
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=EXAMPLES < AT_LENGTH,
        **more,
    )


@pytest.mark.slow
@pytest.mark.timeout(180 + 10 * EXAMPLES)
def test_every_answer_is_as_the_document_says(served, furnished, document):
    checked, wrong = 0, []
    for operation in operations(document):
        for sort in cases(operation):

            @_thorough(EXAMPLES)
            @given(case=sort)
            def probe(case):
                case.call_and_validate(headers={"Authorization": f"Bearer {furnished}"}, checks=CHECKS)

            try:
                probe()
            except FailureGroup as error:
                wrong.append(f"{operation.label}: {error}")
            except Unsatisfiable:
                continue  # what has no arguments has no wrong ones
            checked += 1
    assert not wrong, "\n\n".join(wrong)
    assert checked > 100


@pytest.mark.slow
@pytest.mark.timeout(180 + 10 * EXAMPLES)
def test_what_follows_from_an_answer_is_as_the_document_says(served):
    """Journeys along the links: what one answer tells is asked about, changed, deleted, taken back and undone."""
    followed = Counter()
    document = schemathesis.openapi.from_url(f"{served.url}/openapi.json")

    class Journey(document.as_state_machine()):
        def setup(self):
            token = f"roaming-{uuid4().hex}"
            self.headers = {"Authorization": f"Bearer {token}"}
            with served.client(token) as client:
                for content in (b"1", b'{"a": 1}'):
                    kind = {"Content-Type": "application/json"}
                    client.put("/v1/artifacts/a/x", content=content, headers=kind).raise_for_status()

        def get_call_kwargs(self, case):
            return {"headers": self.headers}

        def validate_response(self, response, case, **_):
            case.validate_response(response, checks=CHECKS)
            if response.status_code < 400:
                followed[case.operation.label] += 1

    led = {"GET /v1/artifacts/{ref}", "POST /v1/undelete/{ref}"}  # far enough from where they begin
    for number in range(10):  # where chance leads depends on the release of the libraries, too
        journeys = seed(number)(Journey) if EXAMPLES < AT_LENGTH else Journey
        run_state_machine_as_test(journeys, settings=_thorough(EXAMPLES * 20, stateful_step_count=12))
        if led <= followed.keys():
            return
    pytest.fail(f"they lead nowhere: {followed}")
