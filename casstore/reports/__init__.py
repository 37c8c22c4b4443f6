"""REPORTS: comparisons as people and programs read them: lines, one page, patches. Pure functions of what was compared."""

from __future__ import annotations

from casstore.reports.lines import Line, lines_of, stat_of
from casstore.reports.page import page_of
from casstore.reports.patches import patch_of

__all__ = ["Line", "lines_of", "page_of", "patch_of", "stat_of"]
