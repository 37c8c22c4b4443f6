"""An outcomes orchestrator in miniature: a solution from what the pillars found, a roadmap to it, and a proof of concept.

python examples/outcomes.py [EXECUTION_ID]
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pictures import chart

from casstore import AsyncStore
from casstore.integrations.executions import load_execution, store_execution
from casstore.integrations.materialization import MaterializationPolicy

Result = dict[str, Any]

POLICY = MaterializationPolicy.from_dict(
    {
        "default": "discard",
        "types": {"solution": "persist", "roadmap": "persist", "poc": "persist"},
    }
)


def synthesize_outcome(content: Result, insights: Result, journey: Result) -> Result:
    """The intent `synthesize_outcome`: the summaries of three pillars, a report of all, and a picture."""
    return {
        "result_type": "solution",
        "semantic_payload": {
            "content": content,
            "insights": insights,
            "journey": journey,
            "synthesis": {"report": f"{insights['finding']} {journey['finding']}", "confidence": 0.8},
        },
        "renderings": {"summary_visual": chart([content["files"], insights["rules"], journey["steps"]], "Pillars")},
    }


def generate_roadmap() -> Result:
    """The intent `generate_roadmap`."""
    return {
        "result_type": "roadmap",
        "semantic_payload": {
            "phases": [
                {"id": "clean", "name": "Clean the data", "weeks": 3, "dependencies": []},
                {"id": "pilot", "name": "Pilot", "weeks": 6, "dependencies": ["clean"]},
                {"id": "scale", "name": "Scale", "weeks": 12, "dependencies": ["pilot"]},
            ],
            "risks": ["holidays"],
        },
        "renderings": {"roadmap_visual": chart([3, 6, 12], "Weeks")},
        "metadata": {"source_artifact_ids": ["solution"]},
    }


def create_poc() -> Result:
    """The intent `create_poc`."""
    return {
        "result_type": "poc",
        "semantic_payload": {
            "proposal": {"goal": "One order in ten without a clerk"},
            "financials": {"currency": "EUR", "cost": 48000, "saved_a_year": 130000},
            "technical_specification": {"agents": ["order agent"], "systems": ["stock"]},
        },
        "renderings": {"poc_visual": chart([48, 130], "Cost and savings, thousands")},
        "metadata": {"source_artifact_ids": ["solution", "roadmap"]},
    }


def execute() -> Result:
    """All that one execution makes."""
    solution = synthesize_outcome(
        {"files": 12, "finding": "Twelve price lists."},
        {"rules": 7, "finding": "Seven rules decide nine orders of ten."},
        {"steps": 3, "finding": "Three steps, one of them twice."},
    )
    return {"solution": solution, "roadmap": generate_roadmap(), "poc": create_poc(), "draft": {"text": "not kept"}}


async def main(execution_id: str) -> None:
    """Run, store, and look at what was made from what."""
    async with AsyncStore() as store:
        tenant = store.tenant()
        metadata = {"realm": "outcomes", "intent_type": "create_poc", "solution_id": "order-intake"}
        stored = await store_execution(tenant, execute(), POLICY, execution_id=execution_id, metadata=metadata)
        for node in await tenant.lineage(stored.references["poc_storage_path"]):
            print("  " * node.depth + node.version.ref, node.version.roles)
        whole = await load_execution(tenant, stored.references, include_visuals=True)
        print("equal with their pictures:", whole == {key: execute()[key] for key in whole})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["outcomes-1"]))
