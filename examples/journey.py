"""A journey orchestrator in miniature: three intents, and one execution that is stored whole or not at all.

    python examples/journey.py [EXECUTION_ID]

Run it again: the same execution has the same references, and nothing is stored twice.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from pictures import chart

from casstore import AsyncStore
from casstore.integrations.executions import load_execution, store_execution
from casstore.integrations.materialization import MaterializationPolicy

Result = dict[str, Any]

POLICY = MaterializationPolicy.from_dict(
    {
        "default": "persist",
        "types": {"interview_notes": "cache", "prompt_trace": "discard"},
    }
)
STEPS = [
    {"id": "read", "name": "Read the order", "actor": "clerk", "minutes": 4},
    {"id": "check", "name": "Check the stock", "actor": "warehouse", "minutes": 11},
    {"id": "book", "name": "Book it", "actor": "clerk", "minutes": 6},
]


def create_workflow(steps: list[Result]) -> Result:
    """The intent `create_workflow`."""
    return {
        "result_type": "workflow",
        "semantic_payload": {"name": "Order intake", "steps": steps},
        "renderings": {"workflow_visual": chart([step["minutes"] for step in steps], "Minutes for each step")},
    }


def generate_sop(workflow: Result) -> Result:
    """The intent `generate_sop`."""
    steps = workflow["semantic_payload"]["steps"]
    lines = [f"{number}. {step['name']} ({step['actor']})" for number, step in enumerate(steps, 1)]
    return {
        "result_type": "sop",
        "semantic_payload": {"title": "How to take an order", "markdown": "\n".join(["# Orders", *lines])},
        "renderings": {},
        "metadata": {"source_artifact_ids": ["workflow"]},  # a key of the same result
    }


def create_blueprint(workflow: Result) -> Result:
    """The intent `create_blueprint`: four components, and two charts of the first two."""
    steps = workflow["semantic_payload"]["steps"]
    minutes = [step["minutes"] for step in steps]
    aided = [max(1, each // 3) for each in minutes]
    return {
        "result_type": "blueprint",
        "semantic_payload": {
            "current_state": {"steps": steps, "minutes": sum(minutes)},
            "coexistence_state": {"steps": steps, "minutes": sum(aided), "aided_by": "order agent"},
            "roadmap": {
                "phases": [
                    {"id": "pilot", "weeks": 4, "dependencies": []},
                    {"id": "roll-out", "weeks": 8, "dependencies": ["pilot"]},
                ]
            },
            "responsibility_matrix": {"clerk": ["read", "book"], "order agent": ["check"]},
        },
        "renderings": {
            "current_state_chart": chart(minutes, "Today"),
            "coexistence_state_chart": chart(aided, "With an agent"),
        },
        "metadata": {"source_artifact_ids": ["workflow"]},
    }


def execute() -> Result:
    """All that one execution makes."""
    workflow = create_workflow(STEPS)
    return {
        "status": "completed",
        "workflow": workflow,
        "sop": generate_sop(workflow),
        "blueprint": create_blueprint(workflow),
        "interview_notes": {"text": "The clerk types every order twice."},
        "prompt_trace": {"tokens": 1234},
    }


async def main(execution_id: str) -> None:
    """Run, store, and read back as any later process would."""
    async with AsyncStore() as store:
        tenant = store.tenant()
        metadata = {"realm": "journey", "intent_type": "create_blueprint", "session_id": "session-1"}
        stored = await store_execution(tenant, execute(), POLICY, execution_id=execution_id, metadata=metadata)
        print("into the state of the execution:", json.dumps(stored.references, indent=2))
        print("returned:", ", ".join(stored.result))

        artifacts = await load_execution(tenant, stored.references)
        drawn = artifacts["blueprint"]["renderings"]["coexistence_state_chart"]
        print("a picture, as a front end is told of it:", drawn)
        whole = await load_execution(tenant, stored.references, include_visuals=True)
        print("equal with its pictures:", whole["blueprint"] == execute()["blueprint"])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["journey-1"]))
