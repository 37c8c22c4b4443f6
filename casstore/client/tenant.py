"""The tenant's door over HTTP: the table of methods and their routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import BaseModel

from casstore import grammar
from casstore.client.artifact import RemoteArtifact, checked
from casstore.client.direct import DirectUploads
from casstore.client.line import KEY, Line, Request
from casstore.client.putting import put, put_request, told_sources
from casstore.client.routes import all_of, expecting, field_of, header, model, not_over_http, one_of, place, ref_text
from casstore.client.transaction import PUT_DEFAULTS, RemoteTransaction
from casstore.client.twins import like, once_over_http, over_http, unsupported
from casstore.direct import DirectLink, UploadOffer
from casstore.model import Deleted, Hold, Impact, Lineage, Page, Pointer, Shared, Stored, Transition, Usage, Version
from casstore.operations import Asking, Context
from casstore.operations.differences import Diff
from casstore.operations.ids import uuid7
from casstore.operations.merges import Merge
from casstore.operations.put import check_options, close
from casstore.operations.receipts import ContentReceipt
from casstore.operations.retaining import Custody, Expiry, Retained, Retention, RetentionPreview
from casstore.operations.undoing import Operation
from casstore.refs import Ref
from casstore.staging import Data, stage
from casstore.tenant import AsyncTenant

__all__ = ["AsyncRemoteTenant"]

_VERSION: Final = model(Version)
_VERSIONS: Final = model(Page[Version])
_DELETED: Final = one_of(Deleted)
_ALL_DELETED: Final = all_of(Deleted)
_NEAR: Final = "Do it where the store is: `casstore events`, `casstore webhook`, or this method of AsyncTenant."


def _first(stored: Stored) -> Stored:
    return stored.model_copy(update={"repeated": False})


def _first_merged(merge: Merge) -> Merge:
    return merge.model_copy(update={"stored": merge.stored and _first(merge.stored)})


class _Session(BaseModel):
    tenant: str


@dataclass(frozen=True, slots=True)
class _Asking:
    tenant: str


class AsyncRemoteTenant(AsyncTenant):
    """An `AsyncTenant` on a server; `casstore.connect_async` makes one. Its name is that of the token's tenant, once it is open."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._direct = DirectUploads(line)
        self._asking: Asking = _Asking("")
        self.name = ""

    async def open(self) -> Self:
        """Connect, and learn whose the token is; `async with` does it. Errors are those of `connect_async`."""
        self._line.open()
        try:
            answer = await self._line.ask(Request("GET", "/session"))
            self.name = model(_Session)(answer.body).tenant
        except BaseException:
            await self._line.aclose()
            raise
        self._asking = _Asking(self.name)
        return self

    async def aclose(self) -> None:
        """Give back the connections. May be called twice."""
        await self._line.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    @property
    def _context(self) -> Context:
        """Nothing of the store itself is here: a method that is not in this table cannot work."""
        raise not_over_http("this", "Open the store itself: casstore.AsyncStore.")

    # -- content ---------------------------------------------------------------------------------------------------------------

    @like(AsyncTenant.put)
    async def put(self, name: str, data: Data, **options: Any) -> Stored:
        """Stage, send, compare."""
        sources, media_type = options.pop("sources", None), options.pop("media_type", None)
        checked_options = check_options(**PUT_DEFAULTS | {"idempotency_key": None} | options)
        grammar.check_name(name)
        told = told_sources(self._asking, sources, [])
        key = checked_options.idempotency_key
        headers = {KEY: header(key or f"put {uuid7()}")} | expecting(checked_options.expect)
        staged = await stage(data, media_type)
        try:
            uploads = await self._direct.of(name, staged)
            request = put_request(name, staged, checked_options, told, headers, uploads=uploads)
            return await put(self._line, request, staged, checked_options)
        finally:
            close(staged)

    @like(AsyncTenant.get)
    async def get(self, ref: str | Ref) -> RemoteArtifact:
        """The version now, its bytes when they are read."""
        version, role = await self._resolved(ref)
        artifact = RemoteArtifact(self._line, version)
        return artifact[role] if role else artifact  # type: ignore[return-value]  # `_like` makes its own kind

    @like(AsyncTenant.resolve)
    async def resolve(self, ref: str | Ref) -> Version:
        """The version that a reference means."""
        return (await self._resolved(ref))[0]

    async def _resolved(self, ref: str | Ref) -> tuple[Version, str | None]:
        parsed = Ref.parse(ref)
        path = f"/artifacts/{place(ref_text(self._asking, ref))}"
        version: Version = checked(_VERSION((await self._line.ask(Request("GET", path))).body), parsed)
        return version, parsed.role

    @like(AsyncTenant.transaction)
    def transaction(self, *, idempotency_key: str | None = None, by: str | None = None) -> RemoteTransaction:
        """Collected here, sent as one request."""
        return RemoteTransaction(self._line, self._asking, idempotency_key, by)

    offer_upload = over_http(AsyncTenant.offer_upload, "POST /uploads", model(UploadOffer))
    direct_link = over_http(AsyncTenant.direct_link, "GET /links/{ref}", model(DirectLink))
    digest_of = unsupported(AsyncTenant.digest_of, "Use casstore.Digest.of; a domain's key never leaves its store.")
    import_tree = unsupported(AsyncTenant.import_tree, "Put each file, or import where the store is: casstore import.")

    # -- finding ---------------------------------------------------------------------------------------------------------------

    history = over_http(AsyncTenant.history, "GET /versions/{name}", _VERSIONS)
    list = over_http(AsyncTenant.list, "GET /artifacts", _VERSIONS)
    where_used = over_http(AsyncTenant.where_used, "GET /where-used/{digest}", _VERSIONS)
    same_pixels_as = over_http(AsyncTenant.same_pixels_as, "GET /same-pixels/{ref}", _VERSIONS)
    lineage = over_http(AsyncTenant.lineage, "GET /lineage/{ref}", model(Lineage))
    usage = over_http(AsyncTenant.usage, "GET /usage", model(Usage))
    shared = over_http(AsyncTenant.shared, "GET /shared", all_of(Shared))

    # -- pointing, lifecycle ---------------------------------------------------------------------------------------------------

    alias = over_http(AsyncTenant.alias, "PUT /aliases/{ref}/{alias}", model(Pointer))
    unalias = over_http(AsyncTenant.unalias, "DELETE /aliases/{name}/{alias}", model(Pointer))
    tag = over_http(AsyncTenant.tag, "PUT /tags/{ref}/{tag}", model(Pointer))
    pointers = over_http(AsyncTenant.pointers, "GET /pointers/{name}", all_of(Pointer))
    pointer_history = over_http(AsyncTenant.pointer_history, "GET /moves/{name}/{pointer}", model(Page[Pointer]))
    transition = over_http(AsyncTenant.transition, "POST /lifecycle/{ref}", model(Transition))
    transitions = over_http(AsyncTenant.transitions, "GET /lifecycle/{ref}", all_of(Transition))

    # -- comparing, merging ----------------------------------------------------------------------------------------------------

    diff = over_http(AsyncTenant.diff, "GET /diff", model(Diff))
    compare = unsupported(AsyncTenant.compare, "Use diff; GET /v1/diff?format=html answers the page of a report.")
    apply = once_over_http(AsyncTenant.apply, "POST /apply", model(Stored), _first)
    merge = once_over_http(AsyncTenant.merge, "POST /merge", model(Merge), _first_merged)

    # -- letting go, keeping, taking back --------------------------------------------------------------------------------------

    delete = over_http(AsyncTenant.delete, "DELETE /artifacts/{ref}", _DELETED, whole=True)
    delete_artifact = over_http(AsyncTenant.delete_artifact, "DELETE /artifacts/{name}", _ALL_DELETED)
    undelete = over_http(AsyncTenant.undelete, "POST /undelete/{ref}", one_of(Version), whole=True)
    undelete_artifact = over_http(AsyncTenant.undelete_artifact, "POST /undelete/{name}", all_of(Version))
    trash = over_http(AsyncTenant.trash, "GET /trash", model(Page[Deleted]))
    purge = over_http(AsyncTenant.purge, "POST /purge/{ref}", _DELETED, whole=True)
    purge_artifact = over_http(AsyncTenant.purge_artifact, "POST /purge/{name}", _ALL_DELETED)
    empty_trash = over_http(AsyncTenant.empty_trash, "POST /empty-trash", field_of("purged", int))
    erase_content = over_http(AsyncTenant.erase_content, "POST /erase-content/{digest}", model(ContentReceipt))
    explain = over_http(AsyncTenant.explain, "GET /explain/{verb}/{target}", model(Impact))
    hold = over_http(AsyncTenant.hold, "POST /holds", model(Hold))
    release = over_http(AsyncTenant.release, "POST /releases", model(Hold))
    holds = over_http(AsyncTenant.holds, "GET /holds", model(Page[Hold]))
    set_retention = over_http(AsyncTenant.set_retention, "PUT /retention", model(Retention))
    retention = over_http(AsyncTenant.retention, "GET /retention", model(Retention | None))
    preview_retention = over_http(AsyncTenant.preview_retention, "GET /retention/preview", model(RetentionPreview))
    apply_retention = over_http(AsyncTenant.apply_retention, "POST /retention/apply", model(Retained))
    custody = over_http(AsyncTenant.custody, "GET /custody/{ref}", model(Custody))
    expire = over_http(AsyncTenant.expire, "PUT /expiry/{ref}", model(Expiry))
    operations = over_http(AsyncTenant.operations, "GET /operations", model(Page[Operation]))
    undo = over_http(AsyncTenant.undo, "POST /undo/{operation_id}", model(Operation))
    events = unsupported(AsyncTenant.events, _NEAR)
    follow = unsupported(AsyncTenant.follow, _NEAR)
    add_webhook = unsupported(AsyncTenant.add_webhook, _NEAR)
    webhooks = unsupported(AsyncTenant.webhooks, _NEAR)
    remove_webhook = unsupported(AsyncTenant.remove_webhook, _NEAR)
    replay_webhook = unsupported(AsyncTenant.replay_webhook, _NEAR)
    test_webhook = unsupported(AsyncTenant.test_webhook, _NEAR)
