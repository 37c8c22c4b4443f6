"""`python -m casstore.testing.gcs`: serve until interrupted."""

from __future__ import annotations

import argparse
import signal
import sys

from casstore.testing.gcs.server import GcsServer


def main() -> None:
    """Print the URL on one line, then serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m casstore.testing.gcs", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen on 127.0.0.1; a free port by default")
    parser.add_argument("--bucket", action="append", default=[], help="a bucket to begin with; may be repeated")
    parser.add_argument("--while-stdin", action="store_true", help="end when standard input does")
    arguments = parser.parse_args()
    stopping = {signal.SIGINT, signal.SIGTERM}
    if arguments.while_stdin:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever holds the other end of it decides
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, stopping)  # for sigwait, in the server's thread too
    with GcsServer(port=arguments.port, recording=False) as server:
        for bucket in arguments.bucket:
            server.create_bucket(bucket)
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        if arguments.while_stdin:
            sys.stdin.read()
        else:
            signal.sigwait(stopping)


if __name__ == "__main__":
    main()
