"""What the races with a collector share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def collector_class():
    """The collector beside this file: tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("collecting", Path(__file__).with_name("collecting.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Collector
