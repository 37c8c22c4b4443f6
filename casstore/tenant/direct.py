"""The part of a tenant's door that lets bytes go straight to and from the bucket. No logic."""

from __future__ import annotations

from casstore.direct import DirectLink, UploadOffer
from casstore.operations import direct
from casstore.refs import Ref
from casstore.tenant.door import Door

__all__ = ["Direct"]


class Direct(Door):
    """Offers and links."""

    async def offer_upload(self, size_bytes: int) -> UploadOffer:
        """A request by which somebody else uploads so many bytes straight to the bucket, once, within an hour.

        Then `put(name, Uploaded(offer.id))` stores them: it reads and hashes what arrived, and has the bucket copy just that. What
        arrived can be put, and the put repeated, for a day from the offer on; then it is a collector's. An offer grants nothing but
        writing where nobody looks: other bytes than were promised are refused by the put that names their digest.

        Args:
            size_bytes: How many, exactly: the bucket refuses others.

        Raises:
            Invalid: Too many (too_large); the blobs are in a folder, or nobody signs for its credentials (not_direct).
            Unavailable: The bucket's credentials cannot be asked.
        """
        return await direct.offer(self._context, size_bytes)

    async def direct_link(self, ref: str | Ref) -> DirectLink:
        """A URL under which the bucket itself answers the bytes of a component, for five minutes, to whoever has it.

        Nobody verifies them: compare their digest. What is deleted or erased meanwhile can be read until the link expires.

        Args:
            ref: `name@3#role`, or `name@3` of one component.

        Raises:
            NotFound, Conflict: As `get`.
            Invalid: As `offer_upload`; several components (bad_components).
        """
        return await direct.link(self._context, ref)
