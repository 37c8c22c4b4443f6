"""The door for async code: open a store, bind it to a tenant, and what concerns all tenants. No logic."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Self

from casstore import grammar, limits
from casstore.blobs import BlobStore
from casstore.catalog.connection import Catalog
from casstore.collection import Candidate, Collected
from casstore.config import Settings
from casstore.domains import Keys
from casstore.errors import Code, UsageError
from casstore.model import Digest, Page, TenantState
from casstore.operations import (
    Context,
    auditing,
    checking,
    collecting,
    delivering,
    doctor,
    domains,
    erasing,
    init,
    journaling,
    opening,
    rebuilding,
    receipts,
    repairing,
    scrubbing,
    tenants,
)
from casstore.operations.auditing import JournalAudit
from casstore.operations.defects import AsyncCheck, Checked, Repaired, Scrubbed
from casstore.operations.delivering import Delivered
from casstore.operations.doctor import Finding
from casstore.operations.domains import Assigned, DomainInfo, Domains
from casstore.operations.init import Prepared
from casstore.operations.journaling import JournalExport
from casstore.operations.posting import Guard
from casstore.operations.rebuilding import CatalogDigest, Rebuilt
from casstore.operations.receipts import Receipt, ReceiptCheck
from casstore.tenant import AsyncTenant

__all__ = ["AsyncStore"]


class AsyncStore:
    """A store: a folder or bucket of blobs and a catalog in Postgres. Use it as `async with AsyncStore() as store:`.

    Args:
        home: Folder for the defaults of the other two; else CASSTORE_HOME, else the user's data folder.
        blobs: Where bytes are, `file:///folder`; else CASSTORE_BLOBS, else a folder in home.
        catalog: Where names are, `embedded:///folder` or `postgresql://…`; else CASSTORE_CATALOG, else embedded in home.
        domains: Keys of isolation domains: 32 bytes each by the domain's name, or a file of them; else CASSTORE_DOMAINS.

    Raises:
        Invalid: A URL of no known kind (bad_config), a catalog that does not fit this release (migration_*), or blobs that are
            not this catalog's (wrong_blobs).
        Unavailable: The folder, the database or Postgres' binaries (blobs_unavailable, catalog_unavailable, no_postgres …).
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        blobs: str | None = None,
        catalog: str | None = None,
        domains: Keys | None = None,
    ) -> None:
        self.settings = Settings.load(home=home, blobs=blobs, catalog=catalog, domains=domains)
        self._domains = Domains(self.settings.domains)
        self._blobs: BlobStore | None = None
        self._catalog: Catalog | None = None

    async def open(self) -> Self:
        """Connect to both halves; an embedded catalog is started and brought to this release."""
        if self._catalog:
            raise UsageError(Code.STORE_OPEN, "the store is open already", hint="Open it once; tasks may share it.")
        self._catalog, self._blobs = await opening.open_halves(self.settings)
        return self

    async def aclose(self) -> None:
        """Give back connections and threads. May be called twice."""
        blobs, catalog, self._blobs, self._catalog = self._blobs, self._catalog, None, None
        try:
            if blobs:
                await blobs.aclose()
        finally:
            if catalog:
                await catalog.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def init(self) -> Prepared:
        """Make what is missing and bring the catalog to this release. The store need not be open; again does no harm.

        Raises:
            Invalid: The settings (bad_config), or a catalog that does not fit this release (migration_*).
            Unavailable: A half that cannot be reached or written to.
        """
        return await init.init(self.settings)

    async def doctor(self) -> tuple[Finding, ...]:
        """Check everything a store needs, and say of each what was found. The store need not be open; nothing is raised that a
        finding can say.
        """
        return await doctor.doctor(self.settings)

    async def check(self) -> None:
        """Make sure that the catalog and the blobs answer, and belong together; what does not is raised.

        Raises:
            Unavailable: A half that does not answer.
            Invalid: The blobs are not this catalog's any more (wrong_blobs).
        """
        await opening.check(*self._halves())

    def tenant(self, name: str | None = None) -> AsyncTenant:
        """The store as one tenant sees it; without a name CASSTORE_TENANT, else "default"."""
        return AsyncTenant(self, grammar.check_tenant(name or self.settings.tenant))

    async def delete_tenant(self, name: str, *, by: str, reason: str | None = None) -> TenantState:
        """Hide all of a tenant at once: who asks for anything of it is told that it is gone (tenant_deleted).
        Who, when and why is kept; nothing is lost, and `undelete_tenant` brings it back.

        Who writes for the tenant at the same time comes before, or is refused. Deleting a deleted tenant changes nothing.

        Raises:
            NotFound: There is no such tenant (tenant_not_found).
            Conflict: Something of it is held (still_used).
            Invalid: bad_tenant, bad_text.
        """
        return await tenants.delete(self._halves()[0], name, by=by, reason=reason)

    async def undelete_tenant(self, name: str, *, by: str, reason: str | None = None) -> TenantState:
        """Bring all of a tenant back, as it was. Errors as `delete_tenant`; one that is not deleted stays as it is."""
        return await tenants.undelete(self._halves()[0], name, by=by, reason=reason)

    async def show_tenant(self, name: str) -> TenantState:
        """Tell since when a tenant is there, and whether it was deleted, by whom and why. Errors as `delete_tenant`."""
        return await tenants.show(self._halves()[0], name)

    async def set_domain(self, tenant: str, domain: str, *, by: str) -> Assigned:
        """Put a tenant into an isolation domain: from its first put on its digests are made with the domain's key.

        It shares no bytes with tenants outside of the domain, and nobody there can tell by a digest or an upload what it has.
        The domain is made by the first assignment. Repeating one is no change.

        Args:
            tenant: One that has no artifacts; it need not exist.
            domain: The name of a key at hand.
            by: Who does it.

        Raises:
            Conflict: The tenant has artifacts (tenant_not_empty).
            Denied: The key is not at hand (domain_key_missing), or not the one that the catalog knows the domain by
                (domain_key_wrong); the role of the catalog is not the owner's (not_permitted).
            Invalid: A name (bad_tenant, bad_domain), `by` (bad_argument).
        """
        return await domains.assign(self._halves()[0], self._domains, tenant, domain, by)

    async def domains(self) -> tuple[DomainInfo, ...]:
        """The isolation domains of the store, the tenants in each, and whether its key is at hand. For the catalog's owner."""
        return await domains.known(self._halves()[0], self.settings.domains)

    async def erase_tenant(
        self, name: str, *, by: str, reason: str | None = None, backups: timedelta = timedelta()
    ) -> Receipt:
        """Erase a deleted tenant for ever: its name, versions, labels, actors, keys and digests, in the catalog and in the journal.

        At once nobody can bring it back. What is left are salted hashes, by which the log still verifies, and the salt is in the
        receipt alone: keep it where you keep such things. Bytes that no other tenant needs are deleted by `collect`. An interrupted
        call is finished by the next; the name is free for a new tenant.

        Args:
            name: The tenant.
            by: Who does it, and `reason` why: kept in the receipt, and as hashes in the log.
            reason: Why.
            backups: How long you keep backups of the catalog: for the date by which the last copy is gone.

        Raises:
            NotFound: There is no such tenant (tenant_not_found).
            Conflict: It is not deleted (tenant_not_deleted).
            Denied: The catalog's role is not the one that owns the schema (not_permitted).
            Unavailable: A half of the store. Call again.
        """
        return await erasing.erase(*self._halves(), name, by=by, reason=reason, backups=backups)

    async def verify_receipt(self, receipt: Receipt) -> ReceiptCheck:
        """Look what is still there of what a receipt says was erased. Whether others hold the same bytes is not told.

        Raises:
            Denied, Unavailable: As `erase_tenant`.
        """
        return await receipts.verify(*self._halves(), receipt)

    async def plan_collection(
        self, *, full: bool = False, quarantine: timedelta = limits.QUARANTINE, cursor: str | None = None
    ) -> Page[Candidate]:
        """What `collect` would do now about blobs of all tenants, in pages; it changes nothing.

        A page covers a part of the ledger and may be empty: the end is where `cursor` is None.
        """
        catalog, _ = self._halves()
        return await collecting.plan(catalog, full=full, quarantine=quarantine, cursor=cursor)

    async def collect(
        self,
        plan: Iterable[Candidate] | None = None,
        *,
        full: bool = False,
        orphans: bool = False,
        quarantine: timedelta = limits.QUARANTINE,
        rate: float = limits.COLLECT_RATE,
    ) -> Collected:
        """Free bytes that no version of any tenant refers to: condemn what was let go of, delete what was long ago.

        It may run at any time, many at once, and be interrupted. A put of the same bytes takes them back until the last moment.

        Args:
            plan: Do this and nothing else; what has changed since is kept. None: what there is to do.
            full: Look at every blob, not only at what was purged, never finished or condemned: finds what a refused put has left.
            orphans: First look through the objects for some that the catalog does not know; these are condemned too.
            quarantine: From condemned to deleted. Not less than the age of the oldest backup of the catalog that you would restore.
            rate: Objects deleted a second, at most.

        Raises:
            Corrupt: A version refers to what was deleted (catalog_inconsistent): stop, and find out how that came about.
            Denied: The role of the catalog may not collect (not_permitted); it takes the owner or one in casstore_collector.
            Unavailable: The catalog. A blob that cannot be deleted is reported, and stops nothing.
        """
        catalog, blobs = self._halves()
        return await collecting.collect(
            catalog, blobs, plan, full=full, orphans=orphans, quarantine=quarantine, rate=rate
        )

    async def deliver_webhooks(
        self,
        *,
        forever: bool = False,
        allow_private: bool = False,
        allow_http: bool = False,
        lease: timedelta = limits.WEBHOOK_LEASE,
    ) -> Delivered:
        """Send the events of all tenants to their webhooks: what there is to be sent now, or all that comes, until cancelled.

        Each event is sent until it has arrived, those of one webhook in order; what was sent and not written down, because somebody
        died, is sent again by the same id. Any number may do this at once. What fails is tried again later and later, and a webhook
        that fails for days (`WEBHOOK_PATIENCE`) is disabled.

        Args:
            forever: Go on, also when the catalog is away for a while.
            allow_private: Send to private addresses too. Only where all who may add webhooks may reach what is there.
            allow_http: Send without TLS too.
            lease: How long a webhook is left to who died with it.

        Raises:
            Unavailable: The catalog, unless `forever`.
        """
        guard = Guard(allow_private=allow_private, allow_http=allow_http)
        return await delivering.deliver(self._halves()[0], guard, forever=forever, lease=lease)

    def fsck(
        self,
        *,
        repair: bool = False,
        cursor: str | None = None,
        progress: Callable[[Checked], None] | None = None,
    ) -> AsyncCheck[Checked]:
        """Compare catalog and blobs, both ways, and the catalog with its own laws: `async for defect in store.fsck()`.

        It is about all tenants. It reads no blob but where a defect is to be repaired, holds no lock and a bounded amount of
        memory, and may run while others put, delete and collect: what looks wrong is looked at again before it is told.

        Args:
            repair: Correct what is safe: the ledger, after reading the bytes it is about. Objects that nobody knows are handed to
                the collector. Each defect says whether it is mended; what lacks bytes is for `repair`.
            cursor: Go on where another check was: the `cursor` of its `summary`.
            progress: Called with the summary after each part.

        Raises:
            Denied: The role of the catalog may not look at the whole store (not_permitted): it takes the owner of the schema.
            Invalid: The cursor is from elsewhere (bad_cursor).
            Unavailable: The catalog or the blobs. Go on from the last cursor.
        """
        return checking.AsyncFsck(
            *self._halves(), self.settings.domains, repair=repair, cursor=cursor, progress=progress
        )

    def scrub(
        self,
        *,
        cycle: timedelta = limits.SCRUB_CYCLE,
        share: float | None = None,
        rate: int | None = None,
        progress: Callable[[Scrubbed], None] | None = None,
    ) -> AsyncCheck[Scrubbed]:
        """Read blobs and verify them, those first that were not read for longest: `async for defect in store.scrub()`.

        Blobs of an isolation domain whose key is not at hand are compared by size and CRC32C, and counted as `unverified`.
        The catalog remembers what was read, so that runs of any length add up. A blob whose bytes are wrong or gone is doubted: a
        put of the same bytes heals it, and `repair` does.

        Args:
            cycle: In how much time every blob is to be read: each call reads what is due, by the time since the last one.
            share: Read so much of the store instead, above 0 and up to 1.
            rate: Bytes a second, at most.
            progress: Called with the summary after each page.

        Raises:
            Denied, Unavailable: As `fsck`; what was read counts.
            Invalid: An argument out of range (bad_argument).
        """
        keys = self.settings.domains
        return scrubbing.AsyncScrub(*self._halves(), keys, cycle=cycle, share=share, rate=rate, progress=progress)

    async def repair(
        self,
        digests: Iterable[Digest] | None = None,
        *,
        sources: Iterable[str | os.PathLike[str]] = (),
        history: bool = False,
    ) -> tuple[Repaired, ...]:
        """Give blobs their bytes back, from wherever they can be had. Bytes are hashed before they are trusted, and a good object
        is never overwritten.

        Args:
            digests: Of the blobs. None: all that versions need and that are doubted, such as `scrub` and `fsck` leave them.
            sources: Files, folders with files of any names in them, and blobs of other stores (`file:///…`, `gs://…`), in their
                order.
            history: First look at what the bucket has kept of what was deleted or overwritten in it: noncurrent generations,
                and soft-deleted ones, which are restored over the object that was read and found bad.

        Raises:
            Denied, Unavailable: As `fsck`.
            Invalid: A source that cannot be read (unreadable_source, bad_config); a place that keeps nothing (no_history).
        """
        return await repairing.repair(*self._halves(), self.settings.domains, digests, sources, history=history)

    async def export_journal(self) -> JournalExport:
        """Write all of the operation log that was committed before, of all tenants, beside the blobs.

        Together the segments are enough to make the catalog again (`rebuild`). It may run at any time, many at once, and be
        interrupted: each record is there once. What is put while it runs may have to wait for the next export.

        Raises:
            Corrupt: The journal has what this catalog has never written (journal_ahead): it was restored from an older backup.
            Denied: The catalog's role is not the one that owns the schema (not_permitted).
            Unavailable: A half of the store; or a transaction on the catalog's server stays open (catalog_busy). Export again.
        """
        return await journaling.export(*self._halves())

    async def verify_journal(self) -> JournalAudit:
        """Prove that the journal is whole and the catalog agrees with it: no segment or row that it describes was altered, removed
        or added. What was not yet exported is held against the log alone.

        Nothing is locked, and it may run beside writers. Errors as `export_journal`; what is wrong is in the answer.
        """
        return await auditing.verify(*self._halves())

    async def rebuild(self) -> Rebuilt:
        """Make a lost catalog again, in an empty database, from the journal and the blobs. The store need not be open.

        Everything up to the last segment comes back: versions under their numbers, ids and times, pointers, the lifecycle, the
        trash, idempotency keys and the log. It is one transaction: an interrupted rebuild leaves the database empty.

        Raises:
            NotFound: There is no journal (journal_not_found).
            Conflict: The database is not empty (catalog_not_empty).
            Corrupt: A segment is missing or was altered (journal_broken).
            Invalid, Denied, Unavailable: As `open` and `export_journal`.
        """
        return await rebuilding.rebuild(self.settings)

    async def catalog_digest(self) -> CatalogDigest:
        """A digest of what the catalog says, of all tenants, as of one instant; equal before a loss and after a rebuild."""
        return await rebuilding.digest_of(self._halves()[0])

    def _halves(self) -> tuple[Catalog, BlobStore]:
        if not self._catalog or not self._blobs:
            raise UsageError(Code.STORE_CLOSED, "the store is not open", hint="Use it inside its `with` block.")
        return self._catalog, self._blobs

    def _context(self, tenant: str) -> Context:
        return Context(*self._halves(), tenant, self._domains)
