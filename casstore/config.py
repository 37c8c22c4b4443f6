"""Settings: arguments first, then the environment, then defaults. The only reader of the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from casstore.domains import Keyring, Keys
from casstore.errors import Code, Invalid

__all__ = ["ServerSettings", "Settings", "actor", "keys_file", "quiet_google_client", "server_of"]


class Settings(BaseModel):
    """Where a store is. Empty environment variables count as unset."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    blobs: str  # CASSTORE_BLOBS: file:///folder
    catalog: str  # CASSTORE_CATALOG: embedded:///folder or postgresql://…
    tenant: str  # CASSTORE_TENANT
    postgres_binaries: Path | None  # CASSTORE_PG_BIN: a folder with postgres and initdb, for the embedded catalog
    domains: Keyring = Field(default_factory=Keyring, exclude=True)  # CASSTORE_DOMAINS: a file of keys
    postgres_owner: str | None  # CASSTORE_PG_USER: the account the embedded server runs under when we are root

    @classmethod
    def load(
        cls,
        *,
        home: str | os.PathLike[str] | None = None,
        blobs: str | None = None,
        catalog: str | None = None,
        tenant: str | None = None,
        domains: Keys | None = None,
    ) -> Self:
        """What the arguments leave open comes from the environment, and then from the home folder (CASSTORE_HOME)."""
        folder = _home(home)
        binaries = os.environ.get("CASSTORE_PG_BIN")
        return cls(
            blobs=blobs or os.environ.get("CASSTORE_BLOBS") or (folder / "blobs").as_uri(),
            catalog=catalog
            or os.environ.get("CASSTORE_CATALOG")
            or "embedded" + (folder / "catalog").as_uri()[len("file") :],
            tenant=tenant or os.environ.get("CASSTORE_TENANT") or "default",
            postgres_binaries=Path(binaries) if binaries else None,
            domains=Keyring.load(os.environ.get("CASSTORE_DOMAINS") or None if domains is None else domains),
            postgres_owner=os.environ.get("CASSTORE_PG_USER") or None,
        )

    def redacted(self) -> Self:
        """The same settings fit to be shown: without user names and passwords in URLs."""
        return self.model_copy(update={"blobs": _redacted(self.blobs), "catalog": _redacted(self.catalog)})


def actor() -> str | None:
    """Who does what commands do, where a call does not say: CASSTORE_BY."""
    return os.environ.get("CASSTORE_BY") or None


class ServerSettings(BaseModel):
    """Who may come in over HTTP: see docs/how-to/serve.md. Empty environment variables count as unset."""

    model_config = ConfigDict(frozen=True)

    tokens: Path | None  # CASSTORE_TOKENS: a file of service tokens
    jwt_issuer: str | None  # CASSTORE_JWT_ISSUER
    jwt_secret: str | None = Field(repr=False)  # CASSTORE_JWT_SECRET, or
    jwt_keys: str | None  # CASSTORE_JWT_KEYS: the URL of a set of public keys
    jwt_audience: str  # CASSTORE_JWT_AUDIENCE
    jwt_tenant: str  # CASSTORE_JWT_TENANT: the claim
    jwt_role: str  # CASSTORE_JWT_ROLE: the claim

    @classmethod
    def load(cls, *, tokens: Path | None = None) -> Self:
        """What the environment says."""
        file = tokens or os.environ.get("CASSTORE_TOKENS")
        return cls(
            tokens=Path(file) if file else None,
            jwt_issuer=os.environ.get("CASSTORE_JWT_ISSUER") or None,
            jwt_secret=os.environ.get("CASSTORE_JWT_SECRET") or None,
            jwt_keys=os.environ.get("CASSTORE_JWT_KEYS") or None,
            jwt_audience=os.environ.get("CASSTORE_JWT_AUDIENCE") or "authenticated",
            jwt_tenant=os.environ.get("CASSTORE_JWT_TENANT") or "app_metadata.tenant_id",
            jwt_role=os.environ.get("CASSTORE_JWT_ROLE") or "role",
        )


def keys_file(given: str | os.PathLike[str] | None = None) -> Path:
    """The file with the keys of isolation domains, given or that of CASSTORE_DOMAINS; raises Invalid (bad_config) without one."""
    chosen = given or os.environ.get("CASSTORE_DOMAINS")
    if not chosen:
        raise Invalid(Code.BAD_CONFIG, "no file of keys is named", hint="Set CASSTORE_DOMAINS to where it is to be.")
    return Path(chosen)


def server_of(url: str | None, token: str | None) -> tuple[str, str | None]:
    """The URL and the token of a server, given or those of CASSTORE_SERVER and CASSTORE_TOKEN; raises Invalid (bad_config)."""
    place = url or os.environ.get("CASSTORE_SERVER")
    if not place:
        raise Invalid(Code.BAD_CONFIG, "no server is named", hint="Give its URL, or set CASSTORE_SERVER to it.")
    return place, os.environ.get("CASSTORE_TOKEN") or None if token is None else token


def quiet_google_client() -> None:
    """Keep Google's storage client from asking for the bucket's metadata behind our back, unless somebody wants it to.

    Otherwise it does so at first use and after every miss, which doubles the requests of a miss and needs another right.
    """
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")


def _redacted(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "(not a URL)"  # perhaps a password that got into the wrong variable
    place, _, parameters = rest.partition("?")
    _, at, host = place.rpartition("@")
    return f"{scheme}://{'***@' if at else ''}{host}{'?…' if parameters else ''}"


def _home(given: str | os.PathLike[str] | None) -> Path:
    chosen = given or os.environ.get("CASSTORE_HOME")
    if not chosen:
        from platformdirs import user_data_path  # noqa: PLC0415 - only needed when nobody says where

        return user_data_path("casstore", appauthor=False)
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:
        raise Invalid(Code.BAD_CONFIG, f"the home folder {str(chosen)!r} cannot be found: {error}") from error
