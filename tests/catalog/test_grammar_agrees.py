"""The grammar is written twice, in Python and in the domains of the database: both take and refuse the same texts."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import grammar
from casstore.errors import Invalid
from casstore.testing import strategies as some

DECISIONS = json.loads((Path(__file__).parents[1] / "data" / "names.json").read_text("utf-8"))
DOMAINS = {
    "artifact_name": (grammar.check_name, some.names()),
    "role_name": (grammar.check_role, some.roles()),
    "type_name": (grammar.check_type, some.types()),
    "pointer_name": (grammar.check_alias, some.aliases() | st.from_regex(r"\A(latest|v[0-9a]{0,3})\Z")),
    "hold_name": (grammar.check_hold, some.tenants()),
    "tenant_name": (grammar.check_tenant, some.tenants()),
}
# pg_input_is_valid is newer than the oldest Postgres we support.
ACCEPTS = """
create function pg_temp.accepts(domain text, value text) returns boolean language plpgsql as $$
begin
  execute format('select $1::casstore.%I', domain) using value;
  return true;
exception when check_violation then
  return false;
end $$
"""


@pytest.fixture(scope="module")
def accepts(databases):
    """Which of these texts a domain takes, all in one statement."""
    with databases.fresh() as dsn, psycopg.connect(databases.direct(dsn), autocommit=True) as connection:
        connection.execute(ACCEPTS)

        def ask(domain: str, texts: list[str]) -> list[bool]:
            statement = "select pg_temp.accepts(%s, t) from unnest(%s::text[]) with ordinality u(t, n) order by n"
            return [row[0] for row in connection.execute(statement, (domain, texts))]

        yield ask


def legal(check, text):
    try:
        check(text)
    except Invalid:
        return False
    return True


def postgres_can_hold(text):
    return "\0" not in text and text.isprintable() | (text.encode(errors="replace").decode() == text)


@pytest.mark.parametrize("domain", DOMAINS)
def test_they_agree_on_every_hostile_name(accepts, domain):
    check, _ = DOMAINS[domain]
    texts = [decision["name"] for decision in DECISIONS if postgres_can_hold(decision["name"])]
    assert len(texts) > 80
    assert dict(zip(texts, accepts(domain, texts), strict=True)) == {text: legal(check, text) for text in texts}


@pytest.mark.parametrize("domain", DOMAINS)
def test_they_agree_on_every_single_character_anywhere(accepts, domain):
    check, _ = DOMAINS[domain]
    characters = [chr(n) for n in range(1, 0x250)] + ["\u2028", "\u212a", "\ufb01", "\uff41", "\u0663", "🚀"]
    texts = [text for char in characters for text in (char, "a" + char, "a" + char + "a", "A" + char + char)]
    assert dict(zip(texts, accepts(domain, texts), strict=True)) == {text: legal(check, text) for text in texts}


@pytest.mark.parametrize("domain", DOMAINS)
def test_they_agree_on_every_length(accepts, domain):
    check, _ = DOMAINS[domain]
    texts = ["a" * n for n in range(300)] + ["/".join("a" * n) for n in range(12)]
    texts += ["/".join(["a" * 63] * n) + "/" + "a" * m for n in (3, 4) for m in range(65)]
    assert dict(zip(texts, accepts(domain, texts), strict=True)) == {text: legal(check, text) for text in texts}


@pytest.mark.parametrize("domain", DOMAINS)
def test_they_agree_on_whatever_comes(accepts, domain):
    check, strategy = DOMAINS[domain]
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=70)
    mutated = some.mutations(strategy).filter(postgres_can_hold)

    @settings(max_examples=40)
    @given(st.lists(strategy | mutated | text, min_size=30, max_size=60))
    def agree(texts):
        assert list(zip(texts, accepts(domain, texts), strict=True)) == [(text, legal(check, text)) for text in texts]

    agree()
