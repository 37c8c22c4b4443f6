"""Errors: their names, and what is said where an extra is not installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from casstore import errors
from casstore.errors import KINDS, CasstoreError, Code, Invalid, NotFound, kind_of, needed_for

WITHOUT = """
import json, sys
sys.modules |= dict.fromkeys(("fastapi", "httpx"))
import casstore, casstore.http, casstore.web
from casstore.cli.root import run
for call in (lambda: casstore.http.app(None, access=None), casstore.web.routers, lambda: casstore.connect("http://localhost")):
    try:
        call()
    except casstore.Invalid as error:
        print(json.dumps(error.as_dict()))
sys.exit(run(["serve", "--json"]))
"""


def test_all_kinds_are_there_by_their_names():
    derived = {
        each.__name__: each for each in vars(errors).values() if isinstance(each, type) and each is not CasstoreError
    }
    assert {name: each for name, each in derived.items() if issubclass(each, CasstoreError)} == KINDS


def test_the_kind_of_what_is_derived():
    class Mine(NotFound):
        pass

    assert kind_of(Mine(Code.VERSION_NOT_FOUND, "it")) == "NotFound"
    assert kind_of(CasstoreError(Code.INTERNAL_ERROR, "it")) == "UsageError"


def test_who_lacks_an_extra_is_told_its_name():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    told = [*map(json.loads, done.stdout.splitlines()), json.loads(done.stderr)]
    assert [(each["error"], each["message"].split()[0], each["hint"]) for each in told] == [
        ("bad_config", "serving", "Install the extra casstore[server]."),
        ("bad_config", "making", "Install the extra casstore[server]."),
        ("bad_config", "connecting", "Install the extra casstore[client]."),
        ("bad_config", "serving", "Install the extra casstore[server]."),
    ]
    assert done.returncode == Invalid.exit_code


def test_a_module_of_ours_that_is_not_there_is_a_bug():
    with pytest.raises(ModuleNotFoundError), needed_for("this", extra="that"):
        import casstore.nothing  # noqa: F401
