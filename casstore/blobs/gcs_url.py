"""`gs://bucket[/prefix][?user_project=…&credentials=…&signer=…]`: where blobs are in Google Cloud Storage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from casstore.errors import Code, Invalid

__all__ = ["Location"]

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")  # up to 63, with dots 222; Google knows the rest
_ACCOUNT: Final = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+")  # of a service account; it becomes a part of a URL's path
_PREFIX_MAX_BYTES: Final = 512  # a name has 1024, and nothing of ours below the prefix comes near half of that
_HINT: Final = "gs://bucket/prefix, and after a ? only user_project=PROJECT, credentials=KEY_FILE and signer=ACCOUNT."


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket, the prefix of all names in it, and who pays and asks."""

    bucket: str
    prefix: str  # empty, or ends in a slash
    user_project: str | None = None  # pays for the requests, where the bucket's owner does not
    credentials: str | None = None  # the file of a service account's key; else Google's application default credentials
    signer: str | None = None  # the service account in whose name Google signs; else that of the credentials

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL; raises Invalid (bad_config)."""
        try:
            parts = urlsplit(url)
            prefix = unquote(parts.path, errors="strict").strip("/")
        except ValueError as error:
            raise Invalid(Code.BAD_CONFIG, f"the URL of the bucket cannot be read: {error}", hint=_HINT) from error
        if not _BUCKET.fullmatch(parts.netloc) or "#" in url:
            name = parts.netloc.rpartition("@")[2]  # what stands before may be a password
            raise Invalid(Code.BAD_CONFIG, f"{name!r} is no bucket, or something follows its prefix", hint=_HINT)
        if not _is_prefix(prefix):
            message = f"{prefix!r} is no prefix: its segments may not be empty or dots, nor hold control characters"
            raise Invalid(Code.BAD_CONFIG, message, hint=_HINT)
        query = parse_qs(parts.query, keep_blank_values=True)
        settings = {name: values[0] for name, values in query.items() if len(values) == 1 and values[0]}
        if settings.keys() - {"user_project", "credentials", "signer"} or len(settings) < len(query):
            raise Invalid(Code.BAD_CONFIG, f"gs://{parts.netloc} has parameters that are unknown or empty", hint=_HINT)
        if not _ACCOUNT.fullmatch(settings.get("signer", "a@b")):
            message = f"the signer of gs://{parts.netloc} is no service account, such as casstore@PROJECT.iam.gserviceaccount.com"
            raise Invalid(Code.BAD_CONFIG, message, hint=_HINT)
        return cls(parts.netloc, prefix and f"{prefix}/", **settings)

    @property
    def url(self) -> str:
        """The same place without who pays and asks."""
        return f"gs://{self.bucket}/{quote(self.prefix)}".rstrip("/")


def _is_prefix(text: str) -> bool:
    segments = text.split("/") if text else []
    return (
        len(text.encode()) <= _PREFIX_MAX_BYTES
        and text.isprintable()
        and not any(segment in ("", ".", "..") for segment in segments)
    )
