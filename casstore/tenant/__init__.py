"""The door of one tenant, for async code: one short method per operation. No logic."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from casstore import limits
from casstore.model import (
    Digest,
    Lineage,
    Page,
    Pointer,
    Shared,
    State,
    Stored,
    Transition,
    Usage,
    Version,
)
from casstore.operations import (
    get,
    importing,
    lifecycle,
    listing,
    pointing,
    put,
    reporting,
    tracing,
)
from casstore.operations.get import AsyncArtifact
from casstore.operations.importing import ImportReport, Progress
from casstore.operations.put import OnSame
from casstore.operations.sources import SourceLike
from casstore.operations.tracing import Direction
from casstore.operations.transaction import AsyncTransaction
from casstore.refs import Ref
from casstore.staging import Data
from casstore.tenant.comparing import Comparing
from casstore.tenant.direct import Direct
from casstore.tenant.following import Following
from casstore.tenant.keeping import Keeping
from casstore.tenant.letting_go import LettingGo
from casstore.tenant.taking_back import TakingBack

__all__ = ["AsyncTenant"]


class AsyncTenant(Comparing, Direct, Following, Keeping, LettingGo, TakingBack):
    """Everything one tenant can do. What belongs to another tenant does not exist here."""

    async def put(
        self,
        name: str,
        data: Data,
        *,
        type: str | None = None,  # noqa: A002 - the field's word
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        sources: Iterable[SourceLike] | None = None,
        expect: int | None = None,
        idempotency_key: str | None = None,
        on_same: OnSame = "reuse",
        ttl: timedelta | None = None,
        by: str | None = None,
        media_type: str | None = None,
    ) -> Stored:
        """Store `data` as the next version of `name`; when this returns, it is durable and can be read by everyone.

        Args:
            name: Such as "workflow/order-intake".
            data: bytes, str (stored as UTF-8), a Path, a binary file object, an async iterator of bytes, a dict or list of JSON
                values, a `Part` of one of these with its media type, or `Components` of several by role.
            type: What the artifact is for; the first version decides ("document" by default).
            title: Free text for people.
            labels: Key/value pairs for search.
            metadata: A small JSON object for search, kept as Postgres keeps JSONB: neither the order of keys nor how a number was
                written.
            sources: The versions this one is made from, each with its role: `Source("sop/login@3", "template")`, or without one
                a reference, an id or a `Version`. They stay with the version for ever.
            expect: The number the newest version must have now; 0 for "must not exist yet".
            idempotency_key: A put repeated with the same key, from any process, is one put and has one answer.
            on_same: When the newest version has this content already (and no other title, labels, metadata or sources are given):
                "reuse" answers that version, "new_version" makes another one, "error" raises Conflict (same_content). "semantic"
                answers it also if every component means the same and is only written, encoded or laid out differently;
                `differs` of the answer says how. What has no semantic digest means the same if its bytes are equal.
            ttl: How long the version is wanted from its making, in whole seconds; then `apply_retention` drops it, whatever the
                rules say. One that is reused lives as long as the longest of its puts asks for, and for ever if one says nothing.
            by: Who puts it, kept with the version and in the log: rather an id or a role than somebody's name.
            media_type: Of a single source, where its kind or suffix does not tell.

        Raises:
            Invalid: The arguments or the data; nothing was stored.
            NotFound: A source (version_not_found …).
            Conflict: head_moved, same_content, name_case, type_mismatch, idempotency_key_reused; no version was made.
            Unavailable: disk_full, blobs_unavailable, catalog_*. Put it again: with an idempotency key that is exact, without
                one a connection lost at the very end may leave the version made.
        """
        options = put.check_options(
            type=type,
            title=title,
            labels=labels,
            metadata=metadata,
            expect=expect,
            idempotency_key=idempotency_key,
            on_same=on_same,
            ttl=ttl,
            by=by,
        )
        return await put.put(self._context, name, data, options, sources=sources, media_type=media_type)

    async def digest_of(self, data: bytes) -> Digest:
        """The digest these bytes have, or would have, in this tenant: made with the key of its isolation domain, if it is in one.

        Raises:
            Denied: The key is not at hand (domain_key_missing, domain_key_wrong).
        """
        return await put.digest_of(self._context, data)

    async def import_tree(
        self,
        folder: str | os.PathLike[str],
        *,
        prefix: str = "",
        at_once: int = 8,
        processes: int = 1,
        by: str | None = None,
        progress: Progress | None = None,
    ) -> ImportReport:
        """Store every version in a folder laid out as `<type>/<name>/v0001.<ext>` or `<type>/<name>/v0001/<role>.<ext>`.

        The n-th version found of a name becomes version n of `<prefix><type>/<name>`, or is refused and with it those after it; the
        report says what became of each file. A folder's name of more than 63 characters is shortened to its first 50, a hyphen
        and 12 digits of its digest; the title keeps the whole. Run it again after an interruption, or when there are new versions:
        what was stored stays, the rest is added. Symbolic links are not followed.

        Args:
            folder: What to import.
            prefix: Put before every name, such as "acme/".
            at_once: Names worked on in parallel, by each process.
            processes: How many share the names; worth it from about a thousand versions on. They are spawned as `multiprocessing`
                does it: a program begins its work under `if __name__ == "__main__":`, and kinds of your own must be picklable.
            by: Who does it, kept as of `put`.
            progress: Called with the number of versions done and of all.

        Raises:
            Invalid: `folder` cannot be read (unreadable_source), or an argument is wrong; nothing was stored.
            Unavailable: As put, or one of several processes failed (process_failed). What was stored until then stays.
        """
        return await importing.import_tree(
            self._context,
            self._store.settings,
            folder,
            prefix=prefix,
            at_once=at_once,
            processes=processes,
            by=by,
            progress=progress,
        )

    async def get(self, ref: str | Ref) -> AsyncArtifact:
        """The artifact that `ref` means: `name`, `name@3`, `name@prod`, `name@b3:…`, `name@latest~<instant>`, `id:<uuid>`, each
        with `#role` for one component. Raises NotFound, also for what is another tenant's.
        """
        return await get.get(self._context, ref)

    def transaction(self, *, idempotency_key: str | None = None, by: str | None = None) -> AsyncTransaction:
        """Puts and pointers that are stored together or not at all: `async with tenant.transaction() as tx: await tx.put(…)`.

        They are committed at the end of the block, in two round trips to the catalog however many there are (one where all bytes
        are known), or, after an error in it, not at all. What its puts have made is read afterwards: `(await tx.put(…)).stored`.

        Args:
            idempotency_key: Such as the id of an execution. A transaction repeated with the same key, from any process and also
                after a crash, is one transaction and has one answer.
            by: Who makes its puts and moves its pointers, kept as of `put`.

        Raises:
            Conflict: Puts are refused, each with its reason (transaction_refused), or pointers; the key was used for something
                else (idempotency_key_reused).
            Invalid, Unavailable, Corrupt: As `put`.
        """
        return AsyncTransaction(self._context, idempotency_key, by)

    async def resolve(self, ref: str | Ref) -> Version:
        """The version that `ref` means, without its bytes."""
        version, _ = await get.resolve(self._context, ref)
        return version

    async def history(self, name: str, *, cursor: str | None = None, limit: int = limits.PAGE_DEFAULT) -> Page[Version]:
        """Versions of `name`, newest first, in pages of at most `limit`."""
        return await listing.history(self._context, name, cursor=cursor, limit=limit)

    async def list(
        self,
        *,
        type: str | None = None,  # noqa: A002 - the field's word
        label: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        state: State | None = None,
        name_prefix: str | None = None,
        cursor: str | None = None,
        limit: int = limits.PAGE_DEFAULT,
    ) -> Page[Version]:
        """The newest version of each artifact, most recently made first, as of the first page.

        An artifact that changes while you turn pages is listed once, as it was; one that is being put while the first page is
        read may be missed (docs/decisions/0009). Filters look at that version: `label` must be contained in its labels, `metadata`
        in its metadata (objects by some of their keys, lists by some of their items), and `state` is the one of now.
        """
        return await listing.list_heads(
            self._context,
            type=type,
            label=label,
            metadata=metadata,
            state=state,
            name_prefix=name_prefix,
            cursor=cursor,
            limit=limit,
        )

    async def where_used(
        self, digest: str | Digest, *, cursor: str | None = None, limit: int = limits.PAGE_DEFAULT
    ) -> Page[Version]:
        """Versions of this tenant that hold the bytes of this digest, or whose manifest it is; `b3:` and 12 digits will do."""
        return await listing.where_used(self._context, digest, cursor=cursor, limit=limit)

    async def same_pixels_as(
        self, ref: str | Ref, *, cursor: str | None = None, limit: int = limits.PAGE_DEFAULT
    ) -> Page[Version]:
        """Versions with a PNG that shows exactly what the one that `ref` means shows, however each is encoded; newest first.

        Raises Invalid (bad_picture) where that is no PNG that decodes. docs/decisions/0018 defines equal.
        """
        return await listing.same_pixels_as(self._context, ref, cursor=cursor, limit=limit)

    async def transition(self, ref: str | Ref, state: State, *, by: str, reason: str | None = None) -> Transition:
        """Take a version a step on: from draft to accepted, and from either to obsolete, which is final.

        Args:
            ref: The version; `name` alone means the newest one, and will not mean the next.
            state: The state it comes into.
            by: Who does it, kept for ever: rather an id or a role than somebody's name.
            reason: Why.

        Raises:
            Conflict: The state does not follow the present one (bad_transition). A version that is in that state already is a
                success, so that a call whose answer was lost may be repeated.
        """
        return await lifecycle.transition(self._context, ref, state, by=by, reason=reason)

    async def transitions(self, ref: str | Ref) -> tuple[Transition, ...]:
        """Every step a version has taken in its lifecycle, in their order."""
        return await lifecycle.transitions(self._context, ref)

    async def lineage(
        self,
        ref: str | Ref,
        direction: Direction = "up",
        *,
        depth: int | None = None,
        limit: int = limits.LINEAGE_VERSIONS_MAX,
    ) -> Lineage:
        """What a version was made from ("up"), or what was made from it ("down"), with the version itself at the head.

        Each has all of its own sources, and says whether it is stale: one of these has a newer version that is accepted.

        Args:
            ref: The version.
            direction: "up" or "down".
            depth: At most so many steps; None for all.
            limit: At most so many versions, the nearest; `is_complete` tells whether these are all.
        """
        return await tracing.trace(self._context, ref, direction, depth, limit)

    async def alias(self, ref: str | Ref, alias: str, *, expect: int | None = None, by: str | None = None) -> Pointer:
        """Make `name@alias` mean the version that `ref` means now. Earlier meanings stay readable: `name@alias~<instant>`.

        Who does it is kept with the move: rather an id or a role than somebody's name.

        Raises:
            Conflict: The alias is elsewhere than at version `expect` (alias_moved; 0: must not exist), or is a tag (pointer_kind).
                An alias that means that version already is a success, so that a call whose answer was lost may be repeated.
        """
        return await pointing.alias(self._context, ref, alias, expect=expect, by=by)

    async def unalias(self, name: str, alias: str, *, expect: int | None = None, by: str | None = None) -> Pointer:
        """Remove an alias; its history stays."""
        return await pointing.unalias(self._context, name, alias, expect=expect, by=by)

    async def tag(self, ref: str | Ref, tag: str, *, by: str | None = None) -> Pointer:
        """Make `name@tag` mean the version that `ref` means now, for ever. Raises Conflict (tag_frozen) if it means another."""
        return await pointing.tag(self._context, ref, tag, by=by)

    async def pointers(self, name: str) -> tuple[Pointer, ...]:
        """Where each alias and tag of `name` points now, by name."""
        return tuple(await pointing.pointers_of(self._context, name))

    async def pointer_history(
        self, name: str, pointer: str, *, cursor: str | None = None, limit: int = limits.PAGE_DEFAULT
    ) -> Page[Pointer]:
        """Every move of an alias, newest first."""
        return await pointing.pointer_history(self._context, name, pointer, cursor=cursor, limit=limit)

    async def usage(self) -> Usage:
        """How much this tenant has stored, the trash included, and how much of it is shared between its own versions."""
        return await reporting.usage(self._context)

    async def shared(self, *, limit: int = limits.PAGE_DEFAULT) -> tuple[Shared, ...]:
        """What this tenant has stored once though several of its components are it: the `limit` that save the most bytes."""
        return await reporting.shared(self._context, limit)
