"""A pgbouncer of a test's own: as a transaction pooler it stands for Supabase's too."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.postgres import Daemon, uri_of

SBIN = "/usr/sbin"  # Debian's place for it, which an ordinary user's PATH lacks


def needed(program: str) -> str:
    """The path of a program that a test needs; without it the test is skipped, and in CI, which installs it, it fails."""
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), SBIN]))
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"CI has no {program}")
    pytest.skip(f"no {program} on this machine")


class PgBouncer(Daemon):
    """In front of the server of a DSN, whichever database and role is asked for; `settings` are pgbouncer's own."""

    def __init__(self, folder: Path, server: str, **settings: object) -> None:
        super().__init__(folder)
        self._program = needed("pgbouncer")
        parts = conninfo_to_dict(server)
        self._role = str(parts["user"])
        users = folder / "users"
        users.write_text(f'"{self._role}" "{parts.get("password", "")}"\n')
        fixed = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": users,
        }
        self._write(
            databases={"*": f"host={parts['host']} port={parts.get('port', 5432)} auth_user={self._role}"},
            # Each transaction on another session than the last: what a session keeps is missed at once, not now and then.
            pgbouncer={"pool_mode": "transaction", "server_round_robin": 1} | settings | fixed,
        )

    def dsn(self, dsn: str) -> str:
        """The same database, through the pooler."""
        return uri_of(dsn, host="127.0.0.1", port=str(self.port), hostaddr=None)

    def command(self) -> list[str | Path]:
        return [self._program, "-q", self.folder / "ini"]

    def stop(self, number: int = signal.SIGTERM) -> None:  # at once: SIGINT would wait for the clients
        super().stop(number)

    def _write(self, **sections: dict[str, object]) -> None:
        lines = []
        for name, values in sections.items():
            lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
        ini = self.folder / "ini"
        ini.write_text("\n".join(lines) + "\n")
        self.give(ini, self.folder / "users")
