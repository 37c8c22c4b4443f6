"""opening: connect to both halves of a store, and make sure that they belong together.

A catalog believes its ledger about which blobs are there. With another folder, or with the right one not mounted, that belief is
wrong, and puts would be acknowledged without their bytes: so each catalog has an identity, and its blobs carry it.
"""

from __future__ import annotations

from casstore.blobs import BlobStore, CarriesIdentity, open_blobs
from casstore.catalog import identity
from casstore.catalog.connection import Catalog
from casstore.config import Settings
from casstore.errors import Code, Invalid

__all__ = ["check", "open_halves"]


async def open_halves(settings: Settings) -> tuple[Catalog, BlobStore]:
    """The catalog and the blobs of a store, both open.

    Raises:
        Invalid: The blobs are not this catalog's (wrong_blobs), and whatever opening either raises.
    """
    catalog = await Catalog.open(settings.catalog, binaries=settings.postgres_binaries, owner=settings.postgres_owner)
    try:
        blobs = await open_blobs(settings.blobs)
        try:
            if isinstance(blobs, CarriesIdentity):
                await _belong_together(catalog, blobs)
        except BaseException:
            await blobs.aclose()
            raise
    except BaseException:
        await catalog.aclose()
        raise
    return catalog, blobs


async def check(catalog: Catalog, blobs: BlobStore) -> None:
    """Ask both halves for the identity of the store, as opening does; raises what a request of them would raise."""
    if isinstance(blobs, CarriesIdentity):
        await _belong_together(catalog, blobs)
    else:
        await identity.of_store(catalog)


async def _belong_together(catalog: Catalog, blobs: CarriesIdentity) -> None:
    wanted, is_marked = await identity.of_store(catalog)
    # A catalog that has marked its blobs never marks others: a crash between the two marks again, with the same identity.
    found = await blobs.identity() if is_marked else await blobs.identify(wanted)
    if found != wanted:
        what = f"carry the identity {found}" if found else "carry none"
        hint = "Check CASSTORE_BLOBS, and that its disk is mounted. If the folder was lost, restore it from a backup."
        if not is_marked:
            hint = "This catalog is new. If theirs is lost, `casstore rebuild` makes it again; else check CASSTORE_CATALOG."
        message = f"the blobs at {blobs.url} are not those of this catalog: it is {wanted}, and they {what}"
        raise Invalid(Code.WRONG_BLOBS, message, hint=hint)
    if not is_marked:
        await identity.mark(catalog)
