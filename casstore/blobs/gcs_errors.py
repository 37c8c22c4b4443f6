"""What goes wrong between us and Google Cloud Storage: what may pass, and which of our errors the rest is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError
from urllib3.exceptions import HTTPError

from casstore.blobs.gcs_url import Location
from casstore.errors import CasstoreError, Code, Denied, Invalid, Unavailable

__all__ = ["FOREIGN", "passes", "said", "translated"]

FOREIGN: Final = (
    exceptions.GoogleAPICallError,
    GoogleAuthError,
    HTTPError,
    HTTPException,
    OSError,
)  # OSError: requests'
_PASSING: Final = frozenset((408, 429, 500, 502, 503, 504))
_SLOW_DOWN: Final = frozenset((429, 503))


def passes(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, exceptions.GoogleAPICallError):
        return error.code in _PASSING
    if isinstance(error, GoogleAuthError):
        return isinstance(error, TransportError) or error.retryable
    return "CERTIFICATE_VERIFY_FAILED" not in str(error)


def said(error: Exception) -> str:
    """What Google says, without the URL of the request: that of a session is as good as a password."""
    response = getattr(error, "response", None)
    if response is None:
        return str(error)
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(response.text.strip()[:200] or response.reason)


@contextmanager
def translated(location: Location, *, is_store: bool = True) -> Iterator[None]:
    """Let only casstore's errors through. `is_store`: what is there are the blobs of a store, and not somebody else's objects."""
    try:
        yield
    except CasstoreError:  # Denied and Invalid are OSError and ValueError too
        raise
    except exceptions.GoogleAPICallError as error:
        raise _ours(error, location, is_store=is_store) from error
    except GoogleAuthError as error:
        if passes(error):
            raise _unreachable(error, location, is_store=is_store) from error
        message = f"the credentials for {location.url} were refused: {error}"
        hint = "Run `gcloud auth application-default login` again, or renew the service account's key."
        raise Denied(Code.NOT_PERMITTED, message, hint=hint) from error
    except FOREIGN as error:
        raise _unreachable(error, location, is_store=is_store) from error


def _unreachable(error: Exception, location: Location, *, is_store: bool) -> Unavailable:
    message = f"{_things(is_store=is_store)} at {location.url} cannot be reached: {error}"
    return Unavailable(
        Code.BLOBS_UNAVAILABLE, message, hint="Check the network, the proxy, and https://status.cloud.google.com."
    )


def _ours(error: Any, location: Location, *, is_store: bool) -> CasstoreError:
    text, things, url = said(error), _things(is_store=is_store), "CASSTORE_BLOBS" if is_store else "the URL"
    if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        role = "User (roles/storage.objectUser)" if is_store else "Viewer (roles/storage.objectViewer)"
        hint = f"Give this account the role Storage Object {role} on the bucket {location.bucket}."
        return Denied(Code.NOT_PERMITTED, f"no permission for {things} at {location.url}: {text}", hint=hint)
    if error.code == HTTPStatus.NOT_FOUND:
        hint = f"Check {url}, or make the bucket."
        return Unavailable(Code.BLOBS_UNAVAILABLE, f"there is no bucket {location.bucket}: {text}", hint=hint)
    if error.code == HTTPStatus.BAD_REQUEST and "requester pays" in text:
        hint = f"Add ?user_project=PROJECT to {url}; that project pays for the requests."
        return Invalid(Code.BAD_CONFIG, f"the bucket {location.bucket} wants a project that pays: {text}", hint=hint)
    message = f"{things} at {location.url} cannot be read or written: {text} ({error.code})"
    if error.code in _SLOW_DOWN:
        hint = "Google asks to slow down: wait a little, then do fewer things at once."
        return Unavailable(Code.BLOBS_UNAVAILABLE, message, hint=hint)
    return Unavailable(Code.BLOBS_UNAVAILABLE, message, hint="Look at https://status.cloud.google.com, then try again.")


def _things(*, is_store: bool) -> str:
    return "blobs" if is_store else "objects"
