"""Which answer leads where, as OpenAPI's links: for programs that find their way, and for tests that go on with what they got."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["add"]

_REF: Final = {"ref": "$response.body#/ref"}
_NAME: Final = {"name": "$response.body#/name"}
_ROLE: Final = _REF | {"role": "$response.body#/components/0/role"}
_DIGEST: Final = {"digest": "$response.body#/components/0/digest"}
_UNDO: Final = {"operation_id": "$response.body#/items/0/id"}

# What a version leads to.
_VERSION: Final = (
    ("GET /v1/artifacts/{ref}", _REF),
    ("DELETE /v1/artifacts/{ref}", _REF),
    ("PUT /v1/artifacts/{ref}", {"ref": "$response.body#/name"}),
    ("GET /v1/components/{ref}/{role}", _ROLE),
    ("GET /v1/where-used/{digest}", _DIGEST),
    ("GET /v1/versions/{name}", _NAME),
    ("GET /v1/pointers/{name}", _NAME),
    ("PUT /v1/aliases/{ref}/{alias}", _REF),
    ("PUT /v1/tags/{ref}/{tag}", _REF),
    ("GET /v1/lineage/{ref}", _REF),
    ("GET /v1/lifecycle/{ref}", _REF),
    ("POST /v1/lifecycle/{ref}", _REF),
    ("PUT /v1/expiry/{ref}", _REF),
    ("GET /v1/explain/{verb}/{ref}", _REF),
    ("GET /v1/diff", {"a": "$response.body#/ref", "b": "$response.body#/ref"}),
    ("GET /v1/operations", _REF),
)
_IN_TRASH: Final = (
    ("GET /v1/artifacts/{ref}", {"ref": "$response.body#/items/0/ref"}),
    ("POST /v1/undelete/{ref}", {"ref": "$response.body#/items/0/ref"}),
    ("POST /v1/purge/{ref}", {"ref": "$response.body#/items/0/ref"}),
)
_LINKS: Final = {
    "PUT /v1/artifacts/{ref} 200": _VERSION,
    "PUT /v1/artifacts/{ref} 201": _VERSION,
    "POST /v1/artifacts/{ref} 200": _VERSION,
    "POST /v1/artifacts/{ref} 201": _VERSION,
    "GET /v1/artifacts/{ref} 200": _VERSION,
    "GET /v1/artifacts 200": tuple(
        (target, {"ref": "$response.body#/items/0/ref"})
        for target in ("GET /v1/artifacts/{ref}", "DELETE /v1/artifacts/{ref}")
    ),
    "DELETE /v1/artifacts/{ref} 200": _IN_TRASH,
    "GET /v1/trash 200": _IN_TRASH,
    "GET /v1/operations 200": (("POST /v1/undo/{operation_id}", _UNDO),),
}


def add(document: dict[str, Any]) -> None:
    """Put the links into an OpenAPI document."""
    identities = {
        f"{method.upper()} {path}": operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    for source, links in _LINKS.items():
        method, path, status = source.split()
        answer = document["paths"][path][method.lower()]["responses"][status]
        answer["links"] = {
            identities[target]: {"operationId": identities[target], "parameters": parameters}
            for target, parameters in links
        }
