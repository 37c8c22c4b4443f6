"""The documents say what the code does: codes, settings, commands, tables; links lead somewhere, and examples run."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import casstore
from casstore import errors
from casstore.cli.root import COMMANDS, commands
from casstore.formats import registry as formats
from casstore.kinds import registry
from casstore.operations.defects import CODES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
HEADINGS = ["Context", "Decision", "Alternatives", "Consequences"]
# What only those who built this know: it means nothing to a reader.
FORBIDDEN = re.compile(
    r"/work(?![A-Za-z])|shared/(corpus|design|research)|research/|PRODUCT\.md|STYLE\.md|pypi\.org|npmjs|\bissue \d"
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def every(paths):
    return pytest.mark.parametrize("page", paths, ids=map(name_of, paths))


def prose(page):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def generator():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- errors ----------------------------------------------------------------------------------------------------------------


def documented_codes():
    """Code → (class, exit code), as errors.md has it."""
    found = {}
    for line in (DOCS / "reference" / "errors.md").read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"## (\w+) \(exit (\d)\)", line):
            kind = heading[1], int(heading[2])
        elif row := re.match(r"\| `(\w+)` \| (.+?) \| (.+?) \|$", line):
            assert row[1] not in found, row[1]
            found[row[1]] = kind
    return found


def classes_in_errors_py():
    """Code → class, as the comments between the members of `Code` have it."""
    found = {}
    for line in inspect.getsource(errors.Code).splitlines():
        if comment := re.fullmatch(r"    # (\w+)", line):
            kind = comment[1]
        elif member := re.match(r'    [A-Z_]+ = "(\w+)"', line):
            found[member[1]] = kind
    return found


def test_every_code_is_documented_with_its_class_and_exit_code():
    expected = {code: (kind, getattr(casstore, kind).exit_code) for code, kind in classes_in_errors_py().items()}
    assert set(expected) == {code.value for code in casstore.Code}
    assert documented_codes() == expected


def test_every_code_is_raised_as_the_class_it_is_documented_with():
    documented = documented_codes()
    for path in (ROOT / "casstore").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args:
                first = ast.unparse(call.args[0])
                if re.fullmatch(r"Code\.[A-Z_]+", first) and hasattr(errors, call.func.id):
                    code = getattr(casstore.Code, first.removeprefix("Code."))
                    assert documented[code.value][0] == call.func.id, f"{name_of(path)}:{call.lineno}"


def test_the_table_of_reactions_has_the_exit_codes():
    page = (DOCS / "reference" / "errors.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| .+ \| (\d) \|$", page, re.MULTILINE))
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__base__ is not object]
    kinds = [kind for kind in kinds if issubclass(kind, errors.CasstoreError) and kind is not errors.CasstoreError]
    assert rows == {kind.__name__: str(kind.exit_code) for kind in kinds}


def test_every_defect_is_documented_with_its_severity():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DOCS / "reference" / "defects.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [(code, severity) for code, (severity, *_) in CODES.items()]


# -- settings, commands, generated pages -----------------------------------------------------------------------------------


def test_every_variable_that_is_read_is_documented_and_no_other():
    read = set(re.findall(r'environ\.get\("(\w+)"\)', (ROOT / "casstore" / "config.py").read_text("utf-8")))
    assert len(read) >= 6
    page = (DOCS / "reference" / "settings.md").read_text("utf-8")
    assert set(re.findall(r"CASSTORE_\w+", page)) == read


def test_every_command_and_option_is_documented():
    sections = re.split(r"^## ", (DOCS / "reference" / "cli.md").read_text("utf-8"), flags=re.MULTILINE)
    for name in COMMANDS:
        (section,) = [text for text in sections if text.startswith(f"casstore {name}\n")]
        for parameter in commands.get_command(None, name).params:
            for option in getattr(parameter, "opts", []) if not getattr(parameter, "hidden", False) else []:
                assert option in section or option in sections[1] or not option.startswith("-"), f"{name} {option}"


@pytest.mark.parametrize("page", ["cli", "api", "index", "schema"])
def test_pages_made_from_the_code_are_fresh(page):
    generate = generator()
    path, make = generate.PAGES[page]
    assert (DOCS / path).read_text("utf-8") == make(), "run `python docs/generate.py`"


def test_tables_are_fresh(database):
    assert (DOCS / "tables.md").read_text("utf-8") == generator().tables(database), "run `python docs/generate.py`"


def test_every_table_column_and_function_has_a_comment(database):
    page = generator().tables(database)
    assert not re.findall(r"^\| `.*\|  \|$", page, re.MULTILINE), "a column without a comment"
    uncommented = re.findall(r"^### (\w+)\n\n\n", page, re.MULTILINE)
    assert not uncommented


# -- the pages themselves --------------------------------------------------------------------------------------------------


@every(DECISIONS)
def test_decisions_have_their_four_parts(page):
    text = page.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert re.match(rf"# {page.name[:4]}:? \S", text)
    assert len(text.splitlines()) <= 40


def test_decisions_are_numbered_without_gaps_and_listed():
    assert [page.name[:4] for page in DECISIONS] == [f"{n:04}" for n in range(1, len(DECISIONS) + 1)]
    index = (DOCS / "index.md").read_text("utf-8")
    assert re.findall(r"\(decisions/(.+?)\)", index) == [page.name for page in DECISIONS]


def test_every_page_is_reached_from_the_index():
    index = (DOCS / "index.md").read_text("utf-8")
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)", index)}
    assert set(PAGES) - {DOCS / "index.md"} <= linked


def anchors(page):
    """The anchors a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every(PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            assert found.exists(), target
            assert not anchor or anchor in anchors(found), target


@every(PAGES)
def test_pages_mention_only_what_a_reader_can_have(page):
    found = FORBIDDEN.search(page.read_text("utf-8"))
    assert not found, found


def test_what_code_and_sql_point_to_is_there():
    sources = [*(ROOT / "casstore").rglob("*.py"), *(ROOT / "sql").rglob("*.sql"), ROOT / "pyproject.toml", *PAGES]
    for source in sources:
        text = source.read_text("utf-8")
        for number in re.findall(r"docs/decisions/(\d{4})", text):
            assert any(page.name.startswith(number) for page in DECISIONS), f"{name_of(source)}: {number}"
        for path in re.findall(r"\b((?:docs|tests|benchmarks|casstore)/[\w/]+\.(?:py|md))\b", text):
            assert (ROOT / path).exists(), f"{name_of(source)}: {path}"


# -- examples --------------------------------------------------------------------------------------------------------------


def examples():
    for page in PAGES:
        text = page.read_text("utf-8")
        for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text[: block.start(1)].count("\n") + 1
            yield pytest.param(block[1], line, page, id=f"{name_of(page)}:{line}")
    yield pytest.param(
        "import casstore\n" + textwrap.dedent(casstore.__doc__.partition(":\n\n")[2]),
        1,
        ROOT / "casstore/__init__.py",
        id="casstore",
    )


@pytest.mark.parametrize(("source", "line", "page"), list(examples()))
def test_examples_run(source, line, page, store_urls, tmp_path, monkeypatch):
    """Each block by itself, in an empty folder, on an empty store; `await` may stand at its top level. What it registers goes."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    monkeypatch.setattr(formats, "_registered", dict(formats._registered))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASSTORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CASSTORE_BLOBS", store_urls.blobs)
    monkeypatch.setenv("CASSTORE_CATALOG", store_urls.catalog)
    code = compile("\n" * (line - 1) + source, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    work = eval(code, {"__name__": "__main__"})
    if inspect.iscoroutine(work):
        asyncio.run(work)


@pytest.mark.slow
def test_examples_have_the_types_that_a_checker_finds(tmp_path):
    """As in a program of a reader's own: mypy, strictly, over all of them, each a file."""
    for number, example in enumerate(examples()):
        source, line, page = example.values
        if "await" in source or "async with" in source or "async for" in source:
            source = "async def main() -> None:\n" + textwrap.indent(source, "    ")
        (tmp_path / f"example_{number}.py").write_text(f"# {name_of(page)}:{line}\n{source}", "utf-8")
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", *sorted(tmp_path.glob("*.py"))],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_generator_refuses_what_it_does_not_know(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["generate.py", "nonsense"])
    with pytest.raises(SystemExit):
        generator().main()
    assert "nonsense" in capsys.readouterr().err
