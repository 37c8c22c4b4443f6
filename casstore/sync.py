"""The door for blocking code: the async one, derived, not written again.
Each open `Store` owns one thread with an event loop on which the async store lives; a blocking method hands its coroutine over.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast

from casstore import limits
from casstore.config import Settings
from casstore.domains import Keys
from casstore.errors import Code, UsageError
from casstore.loops import Loop
from casstore.model import Component, State, Version
from casstore.operations.defects import AsyncCheck, Checked, Defect, Scrubbed, Summary
from casstore.operations.doctor import Finding
from casstore.operations.following import Event
from casstore.operations.get import AsyncArtifact, AsyncReader
from casstore.operations.init import Prepared
from casstore.operations.rebuilding import Rebuilt
from casstore.operations.transaction import AsyncTransaction
from casstore.refs import Ref
from casstore.store import AsyncStore
from casstore.tenant import AsyncTenant

__all__ = ["Artifact", "Check", "Reader", "Store", "Tenant", "Transaction"]

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
M = TypeVar("M", bound=Callable[..., Any])


def _once(work: Coroutine[Any, Any, R]) -> R:
    """Run on a loop of its own: for what works on a store that is not open."""
    loop = Loop()
    try:
        return loop.run(work)
    finally:
        loop.close()


class _Door(Protocol[A_co]):
    """What has an async twin."""

    @property
    def _twin(self) -> A_co: ...

    @property
    def _loop(self) -> Loop: ...


def _blocking(method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[_Door[A], P], R]:
    """The same method of the twin, which may be a remote one, waiting for its answer."""

    @functools.wraps(method)
    def wait(self: _Door[A], /, *arguments: P.args, **keywords: P.kwargs) -> R:
        loop = self._loop  # first: where there is none, nothing was begun that nobody waits for
        work: Coroutine[Any, Any, R] = getattr(self._twin, method.__name__)(*arguments, **keywords)
        return loop.run(work)

    return wait


def _as(method: Callable[..., Any]) -> Callable[[M], M]:
    """A method written out has the name and the docstring of the twin's; its types are its own, as checkers see them."""
    return cast("Callable[[M], M]", functools.wraps(method))


def _each(coming: AsyncIterator[R], loop: Loop) -> Iterator[R]:
    """What comes, waiting for each."""

    async def following() -> R | None:
        return await anext(coming, None)

    while (found := loop.run(following())) is not None:
        yield found


class Store:
    """A store for blocking code: `with Store() as store:`. Threads may share it. Arguments and errors are `AsyncStore`'s."""

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        blobs: str | None = None,
        catalog: str | None = None,
        domains: Keys | None = None,
    ) -> None:
        self._twin = AsyncStore(home, blobs=blobs, catalog=catalog, domains=domains)
        self._open: Loop | None = None

    @property
    def settings(self) -> Settings:
        """Where the store is."""
        return self._twin.settings

    @property
    def _loop(self) -> Loop:
        if self._open is None:
            raise UsageError(Code.STORE_CLOSED, "the store is not open", hint="Use it inside its `with` block.")
        return self._open

    def open(self) -> Self:
        """Connect to both halves; `with` does it."""
        if self._open:
            raise UsageError(Code.STORE_OPEN, "the store is open already", hint="Open it once; threads may share it.")
        self._open = Loop()
        try:
            self._open.run(self._twin.open())
        except BaseException:
            self._open.close()
            self._open = None
            raise
        return self

    def close(self) -> None:
        """Give back connections and threads. May be called twice."""
        if self._open:
            try:
                self._open.run(self._twin.aclose())
            finally:
                self._open.close()
                self._open = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *exc: object) -> None:
        self.close()

    @_as(AsyncStore.init)
    def init(self) -> Prepared:  # noqa: D102 - the twin's
        return _once(self._twin.init())

    @_as(AsyncStore.fsck)
    def fsck(self, **options: Any) -> Check[Checked]:  # noqa: D102 - the twin's
        return Check(self._twin.fsck(**options), self._loop)

    @_as(AsyncStore.scrub)
    def scrub(self, **options: Any) -> Check[Scrubbed]:  # noqa: D102 - the twin's
        return Check(self._twin.scrub(**options), self._loop)

    repair = _blocking(AsyncStore.repair)

    @_as(AsyncStore.doctor)
    def doctor(self) -> tuple[Finding, ...]:  # noqa: D102 - the twin's
        return _once(self._twin.doctor())

    @_as(AsyncStore.rebuild)
    def rebuild(self) -> Rebuilt:  # noqa: D102 - the twin's
        return _once(self._twin.rebuild())

    check = _blocking(AsyncStore.check)
    export_journal = _blocking(AsyncStore.export_journal)
    verify_journal = _blocking(AsyncStore.verify_journal)
    catalog_digest = _blocking(AsyncStore.catalog_digest)
    delete_tenant = _blocking(AsyncStore.delete_tenant)
    undelete_tenant = _blocking(AsyncStore.undelete_tenant)
    show_tenant = _blocking(AsyncStore.show_tenant)
    set_domain = _blocking(AsyncStore.set_domain)
    domains = _blocking(AsyncStore.domains)
    erase_tenant = _blocking(AsyncStore.erase_tenant)
    verify_receipt = _blocking(AsyncStore.verify_receipt)
    plan_collection = _blocking(AsyncStore.plan_collection)
    collect = _blocking(AsyncStore.collect)
    deliver_webhooks = _blocking(AsyncStore.deliver_webhooks)

    def tenant(self, name: str | None = None) -> Tenant:
        """The store as one tenant sees it; without a name CASSTORE_TENANT, else "default"."""
        return Tenant(self._twin.tenant(name), self)


class Check(Generic[Summary]):
    """A check under way, for blocking code: iterate over it, once, for its defects."""

    def __init__(self, twin: AsyncCheck[Summary], loop: Loop) -> None:
        self._twin = twin
        self._loop = loop

    @property
    def summary(self) -> Summary:
        """What was looked at so far."""
        return self._twin.summary

    def __iter__(self) -> Iterator[Defect]:
        return _each(aiter(self._twin), self._loop)


class Tenant:
    """Everything one tenant can do, for blocking code. What belongs to another tenant does not exist here."""

    def __init__(self, twin: AsyncTenant, store: Store) -> None:
        self._twin = twin
        self._store = store
        self.name = twin.name

    def __repr__(self) -> str:
        return f"<tenant {self.name}>"

    @property
    def _loop(self) -> Loop:
        return self._store._loop  # noqa: SLF001 - the two halves of one door

    put = _blocking(AsyncTenant.put)
    digest_of = _blocking(AsyncTenant.digest_of)
    offer_upload = _blocking(AsyncTenant.offer_upload)
    direct_link = _blocking(AsyncTenant.direct_link)
    resolve = _blocking(AsyncTenant.resolve)
    history = _blocking(AsyncTenant.history)
    list = _blocking(AsyncTenant.list)
    where_used = _blocking(AsyncTenant.where_used)
    alias = _blocking(AsyncTenant.alias)
    unalias = _blocking(AsyncTenant.unalias)
    tag = _blocking(AsyncTenant.tag)
    pointers = _blocking(AsyncTenant.pointers)
    pointer_history = _blocking(AsyncTenant.pointer_history)
    same_pixels_as = _blocking(AsyncTenant.same_pixels_as)
    transition = _blocking(AsyncTenant.transition)
    transitions = _blocking(AsyncTenant.transitions)
    delete = _blocking(AsyncTenant.delete)
    delete_artifact = _blocking(AsyncTenant.delete_artifact)
    undelete = _blocking(AsyncTenant.undelete)
    undelete_artifact = _blocking(AsyncTenant.undelete_artifact)
    trash = _blocking(AsyncTenant.trash)
    purge = _blocking(AsyncTenant.purge)
    purge_artifact = _blocking(AsyncTenant.purge_artifact)
    empty_trash = _blocking(AsyncTenant.empty_trash)
    erase_content = _blocking(AsyncTenant.erase_content)
    explain = _blocking(AsyncTenant.explain)
    operations = _blocking(AsyncTenant.operations)
    undo = _blocking(AsyncTenant.undo)
    events = _blocking(AsyncTenant.events)
    add_webhook = _blocking(AsyncTenant.add_webhook)
    webhooks = _blocking(AsyncTenant.webhooks)
    remove_webhook = _blocking(AsyncTenant.remove_webhook)
    replay_webhook = _blocking(AsyncTenant.replay_webhook)
    test_webhook = _blocking(AsyncTenant.test_webhook)
    hold = _blocking(AsyncTenant.hold)
    release = _blocking(AsyncTenant.release)
    holds = _blocking(AsyncTenant.holds)
    set_retention = _blocking(AsyncTenant.set_retention)
    retention = _blocking(AsyncTenant.retention)
    preview_retention = _blocking(AsyncTenant.preview_retention)
    apply_retention = _blocking(AsyncTenant.apply_retention)
    custody = _blocking(AsyncTenant.custody)
    expire = _blocking(AsyncTenant.expire)
    lineage = _blocking(AsyncTenant.lineage)
    diff = _blocking(AsyncTenant.diff)
    compare = _blocking(AsyncTenant.compare)
    apply = _blocking(AsyncTenant.apply)
    merge = _blocking(AsyncTenant.merge)
    usage = _blocking(AsyncTenant.usage)
    shared = _blocking(AsyncTenant.shared)
    import_tree = _blocking(AsyncTenant.import_tree)

    @_as(AsyncTenant.follow)
    def follow(self, *, after: str | None = None) -> Iterator[Event]:  # noqa: D102 - the twin's
        return _each(self._twin.follow(after=after), self._loop)

    @_as(AsyncTenant.transaction)
    def transaction(self, *, idempotency_key: str | None = None, by: str | None = None) -> Transaction:  # noqa: D102 - the twin's
        return Transaction(self._twin.transaction(idempotency_key=idempotency_key, by=by), self._loop)

    @_as(AsyncTenant.get)
    def get(self, ref: str | Ref) -> Artifact:  # noqa: D102 - the twin's
        return Artifact(self._loop.run(self._twin.get(ref)), self._loop)


class Transaction:
    """Puts and pointers that are stored together, for blocking code: `AsyncTransaction` has the promise."""

    def __init__(self, twin: AsyncTransaction, loop: Loop) -> None:
        self._twin = twin
        self._loop = loop

    put = _blocking(AsyncTransaction.put)

    @_as(AsyncTransaction.alias)
    def alias(self, ref: str | Ref, alias: str, *, expect: int | None = None) -> None:  # noqa: D102 - the twin's
        self._twin.alias(ref, alias, expect=expect)

    @_as(AsyncTransaction.tag)
    def tag(self, ref: str | Ref, tag: str) -> None:  # noqa: D102 - the twin's
        self._twin.tag(ref, tag)

    @_as(AsyncTransaction.transition)
    def transition(self, ref: str | Ref, state: State, *, by: str, reason: str | None = None) -> None:  # noqa: D102
        self._twin.transition(ref, state, by=by, reason=reason)

    def __enter__(self) -> Self:
        self._loop.run(self._twin.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.run(self._twin.__aexit__(kind, error, traceback))


class Artifact:
    """A version and its bytes, for blocking code: `AsyncArtifact` has the promise."""

    def __init__(self, twin: AsyncArtifact, loop: Loop) -> None:
        self._twin = twin
        self._loop = loop

    def __repr__(self) -> str:
        return repr(self._twin)

    def __getitem__(self, role: str) -> Artifact:
        return Artifact(self._twin[role], self._loop)

    @property
    def version(self) -> Version:
        """Which version this is."""
        return self._twin.version

    @property
    def component(self) -> Component:
        """The one component this artifact stands for."""
        return self._twin.component

    @_as(AsyncArtifact.unverified)
    def unverified(self) -> Artifact:  # noqa: D102 - the twin's
        return Artifact(self._twin.unverified(), self._loop)

    bytes = _blocking(AsyncArtifact.bytes)
    text = _blocking(AsyncArtifact.text)
    json = _blocking(AsyncArtifact.json)

    def open(self) -> io.BufferedReader:
        """A binary file of the verified bytes, in bounded memory: the last ones come only if the digest of all is right."""
        return io.BufferedReader(Reader(self._loop.run(self._twin.open()), self._loop), limits.CHUNK_BYTES)


class Reader(io.RawIOBase):
    """`AsyncReader` as a raw binary file."""

    def __init__(self, twin: AsyncReader, loop: Loop) -> None:
        self._twin = twin
        self._loop = loop

    def readable(self) -> bool:
        """True."""
        return True

    def readall(self) -> bytes:
        """All bytes that are left, in pieces as large as the store's own."""
        return b"".join(iter(lambda: self._loop.run(self._twin.read(limits.CHUNK_BYTES)), b""))

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes; raises Corrupt instead of handing over the last of wrong ones."""
        chunk = self._loop.run(self._twin.read(len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Give the file or connection back."""
        if self.closed:
            return
        try:
            self._loop.run(self._twin.aclose())
        finally:
            super().close()
