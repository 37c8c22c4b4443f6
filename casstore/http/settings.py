"""Who may come in, as the settings say it."""

from __future__ import annotations

from casstore.config import ServerSettings
from casstore.errors import Code, Invalid
from casstore.http.access import Access, Verifier
from casstore.http.claims import Claims, Jwt, Secret
from casstore.http.jwks import Published
from casstore.http.tokens import ServiceTokens

__all__ = ["access_of"]


def access_of(settings: ServerSettings, *, dev_tenant: str | None = None) -> Access:
    """The access that the settings describe; raises Invalid (bad_config) where they let nobody in, or contradict themselves."""
    verifiers: list[Verifier] = []
    if settings.tokens:
        verifiers.append(ServiceTokens(settings.tokens))
    if settings.jwt_secret or settings.jwt_keys:
        verifiers.append(_jwt(settings))
    if not verifiers and not dev_tenant:
        hint = "Set CASSTORE_TOKENS, or CASSTORE_JWT_ISSUER with CASSTORE_JWT_KEYS; to try it out, --insecure-dev-tenant NAME."
        raise Invalid(Code.BAD_CONFIG, "nobody may come in", hint=hint)
    return Access(verifiers, dev_tenant=dev_tenant)


def _jwt(settings: ServerSettings) -> Jwt:
    if settings.jwt_secret and settings.jwt_keys:
        message = "tokens are checked by a secret or by published keys, not by both"
        raise Invalid(Code.BAD_CONFIG, message, hint="Unset CASSTORE_JWT_SECRET or CASSTORE_JWT_KEYS.")
    if not settings.jwt_issuer:
        hint = "Such as https://<project>.supabase.co/auth/v1."
        raise Invalid(Code.BAD_CONFIG, "whose tokens are good is not said: CASSTORE_JWT_ISSUER", hint=hint)
    keys = Published(settings.jwt_keys) if settings.jwt_keys else Secret(settings.jwt_secret or "")
    claims = Claims(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        tenant=settings.jwt_tenant,
        role=settings.jwt_role,
    )
    return Jwt(keys, claims)
