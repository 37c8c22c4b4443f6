"""Who signs a request that others make: a private key where there is one, else Google, for the account that the process runs as.

What runs on Google Cloud, or was federated into it, has no private key; IAM signs for it, at a request for each signature:
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
"""

from __future__ import annotations

import base64
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from google.api_core import exceptions
from google.auth import credentials as auth
from google.auth import crypt
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account

from casstore.blobs.gcs_errors import passes, said
from casstore.errors import Code, Invalid

__all__ = ["signer_of"]

_SCOPE: Final = "https://www.googleapis.com/auth/iam"
_URL: Final = "https://iamcredentials.{domain}/v1/projects/-/serviceAccounts/{account}:signBlob"
_UNNAMED: Final = (
    "default"  # what credentials of the metadata server call their account before they have asked for its name
)
_THROUGH: Final = "Or send the bytes through the store."


def signer_of(credentials: Any, account: str | None, patience: timedelta) -> auth.Signing:
    """What signs with these credentials, as their own account or as `account`.

    Args:
        credentials: What the requests to the bucket are made with.
        account: The address of a service account that those may sign for.
        patience: How long Google may be silent at each signature.

    Raises:
        Invalid: Nobody knows for whom Google should sign (not_direct).
        GoogleAuthError: The account's name could not be asked for.
    """
    if account is None and isinstance(credentials, auth.Signing):
        return credentials
    # Not if they seem to need scopes: the client has given them those of storage, which IAM does not take.
    asking = credentials.with_scopes([_SCOPE]) if isinstance(credentials, auth.Scoped) else credentials
    request = Request()
    account = account or getattr(asking, "service_account_email", None)
    if account == _UNNAMED:
        asking.refresh(request)
        account = str(asking.service_account_email)
    if account is None or isinstance(credentials, auth.AnonymousCredentials):
        hint = (
            "Name a service account for which they may sign, gs://bucket?signer=ACCOUNT, or the file of its key,"
            f" gs://bucket?credentials=KEY_FILE. {_THROUGH}"
        )
        raise Invalid(Code.NOT_DIRECT, "the credentials of the bucket cannot sign requests", hint=hint)
    signer = _Google(AuthorizedSession(asking, auth_request=request), account, asking.universe_domain, patience)
    return service_account.Credentials(signer, account, token_uri="")  # only ever signs


class _Google(crypt.Signer):
    """Signs by IAM, in the name of an account."""

    key_id = None  # of Google's own keys, one after the other

    def __init__(self, session: AuthorizedSession, account: str, domain: str, patience: timedelta) -> None:
        self._session = session
        self._account = account
        self._url = _URL.format(domain=domain, account=account)
        self._patience_s = patience.total_seconds()

    def sign(self, message: bytes) -> bytes:
        """The signature; raises what is in `FOREIGN`, and Invalid (not_direct) when Google refuses it."""
        payload = base64.b64encode(message).decode()
        answer = self._session.post(self._url, json={"payload": payload}, timeout=self._patience_s)
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            error = exceptions.from_http_response(answer)
            if passes(error):
                raise error
            told = f"Google does not sign requests to the bucket for {self._account}: {said(error)}"
            hint = (
                "Enable the API iamcredentials.googleapis.com, and give the account that asks the role Service Account"
                f" Token Creator (roles/iam.serviceAccountTokenCreator) on {self._account}. {_THROUGH}"
            )
            raise Invalid(Code.NOT_DIRECT, told, hint=hint) from error
        return base64.b64decode(answer.json()["signedBlob"])
