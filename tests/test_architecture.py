"""The house rules that a linter does not know: sizes, who reads the environment, what importing costs, what is public."""

from __future__ import annotations

import ast
import functools
import gc
import inspect
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

import casstore

ROOT = Path(casstore.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 400


@functools.cache
def parsed(path: Path) -> ast.Module:
    """A file of code. Code that runs when garbage is collected in the middle of it makes CPython raise SystemError (gh-106905)."""
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        gc.enable()


def functions(path: Path) -> list[tuple[str, int, int]]:
    """Name, lines and lines without the docstring of each function."""
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) else 0
            found.append((f"{path.relative_to(ROOT)}:{node.name}", lines, lines - docstring))
    return found


def test_files_and_functions_stay_small() -> None:
    long = [
        f"{path.relative_to(ROOT)} has {n} lines"
        for path in FILES
        if (n := len(path.read_text().splitlines())) > MAX_FILE_LINES
    ]
    sizes = [size for path in FILES for size in functions(path)]
    long += [f"{name} has {code} lines of code" for name, _, code in sizes if code > MAX_FUNCTION_LINES]
    assert not long
    assert statistics.median(code for _, _, code in sizes) <= 10
    assert statistics.quantiles((code for _, _, code in sizes), n=10)[-1] <= 25


def mentions(path: Path, *names: str) -> bool:
    """Whether the code (not its comments or docstrings) uses one of these dotted names."""
    return any(ast.unparse(node) in names for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute))


def test_only_config_reads_the_environment() -> None:
    readers = [p.relative_to(ROOT).as_posix() for p in FILES if mentions(p, "os.environ", "os.getenv")]
    assert readers == ["config.py"]


def test_only_the_command_line_prints_or_runs_a_loop() -> None:
    """But for two who own what they run the loop on: the blocking door its thread, a worker of an import its process."""
    forbidden = {"print", "logging.basicConfig", "asyncio.run", "asyncio.Runner", "asyncio.new_event_loop"}

    def calls(path: Path) -> set[str]:
        return {ast.unparse(n.func) for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)}

    inside = [p for p in FILES if p.relative_to(ROOT).parts[0] not in ("cli", "testing")]
    found = {p.relative_to(ROOT).as_posix(): calls(p) & forbidden for p in inside}
    assert {name: calls for name, calls in found.items() if calls} == {
        "loops.py": {"asyncio.new_event_loop"},
        "operations/import_processes.py": {"asyncio.run"},
    }


def test_nothing_is_swallowed() -> None:
    """No handler of everything that goes on as if nothing had happened."""
    blind = []
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            ):
                raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                # The root tells it and exits 1; the coalescer hands it to those who asked.
                if not raises and path.relative_to(ROOT).as_posix() not in ("cli/root.py", "catalog/coalescing.py"):
                    blind.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not [place for place in blind if not place.startswith("testing")]


def test_public_names_are_sorted_and_real() -> None:
    assert casstore.__all__ == sorted(casstore.__all__)
    for name in casstore.__all__:
        assert getattr(casstore, name).__doc__, name
    assert set(casstore.__all__) == set(casstore._HOME_OF)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        casstore.nonsense  # noqa: B018


@pytest.mark.parametrize(
    "module", [p.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", ".") for p in FILES]
)
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(parsed(ROOT.parent / (module.replace(".", "/") + ".py")))


def test_blocking_doors_have_every_method_of_their_async_twins() -> None:
    for door, twin in ((casstore.Tenant, casstore.AsyncTenant), (casstore.Artifact, casstore.AsyncArtifact)):
        for name, method in inspect.getmembers(twin, inspect.iscoroutinefunction):
            if not name.startswith("_"):
                assert hasattr(door, name), f"{door.__name__}.{name}"
                if name != "open":  # answers a file, not an AsyncReader
                    assert list(inspect.signature(getattr(door, name)).parameters) == list(
                        inspect.signature(method).parameters
                    )


def test_importing_is_cheap_and_light() -> None:
    """Under 150 ms, and without Postgres, pydantic, Google or a web framework before they are used."""
    heavy = ("psycopg", "pydantic", "google", "click", "PIL", "fastapi")
    code = f"import sys, casstore; print(*[m for m in {heavy} if m in sys.modules])"
    fastest = math.inf
    for _ in range(20):  # as often as a busy machine needs
        begin = time.perf_counter()
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        fastest = min(fastest, time.perf_counter() - begin)
        assert loaded == ""
        if fastest < 0.150:
            return
    pytest.fail(f"{fastest:.3f} s")
