"""Certificates for tests, made on the spot by openssl: nothing to keep, nothing that expires."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.pgbouncer import needed

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_authority(folder: Path, name: str) -> Path:
    """The certificate of a new authority; its key lies beside it."""
    certificate = folder / f"{name}.crt"
    _openssl("req", "-x509", *KEY, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", certificate)
    return certificate


def make_certificate(folder: Path, authority: Path, host: str) -> tuple[Path, Path]:
    """A certificate for a host's name, and its key."""
    certificate, key = folder / f"{host}.crt", folder / f"{host}.key"
    signed_by = ("-CA", authority, "-CAkey", authority.with_suffix(".key"))
    names = ("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-addext", "basicConstraints=CA:FALSE")
    _openssl("req", "-x509", *KEY, *signed_by, *names, "-keyout", key, "-out", certificate)
    key.chmod(0o600)
    return certificate, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run([needed("openssl"), *arguments], check=True, capture_output=True)
