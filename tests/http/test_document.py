"""What the OpenAPI document says is so: requests made of it, judged by it. No server error, no answer it does not tell of."""

from __future__ import annotations

import os

SECONDS = float(os.environ.get("CASSTORE_TEST_FUZZ_S", "20"))
