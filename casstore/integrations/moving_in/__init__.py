"""Moving in: what the platform kept in its old layout, read from a folder or a bucket and stored as artifacts of a store."""

from __future__ import annotations

from casstore.integrations.moving_in.moving import move_in

__all__ = ["move_in"]
