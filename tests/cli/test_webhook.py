"""Webhooks on the command line."""

from __future__ import annotations

from casstore import webhooks


def test_webhooks_are_added_listed_replayed_and_removed(call, tmp_path):
    made = call(
        "webhook", "add", "https://example.org/hook", "--op", "put", "--prefix", "sop/", "--by", "ops", "--json"
    ).json
    assert len(webhooks.secret_bytes(made["secret"])) == 32
    identity = made["webhook"]["id"]
    told = call("webhook", "ls")
    assert "https://example.org/hook" in told.text
    assert "put sop/…" in told.text
    assert made["secret"] not in told.text + call("webhook", "ls", "--json").text
    assert call("webhook", "replay", identity, "--after", "start", "--json").json["id"] == identity
    assert call("webhook", "rm", identity).code == 0
    assert call("webhook", "rm", identity).code == 4
    secret = tmp_path / "secret"
    secret.write_text(webhooks.new_secret() + "\n")
    given = call("webhook", "add", "https://example.org/", "--by", "ops", "--secret-file", secret)
    assert secret.read_text().strip() in given.text


def test_what_may_not_be_asked_is_refused_and_a_test_that_fails_says_so(call):
    for url, option in (("http://example.org/", "--allow-http"), ("https://127.0.0.1/", "--allow-private")):
        refused = call("webhook", "add", url, "--by", "ops")
        assert (refused.code, option in refused.err) == (2, True)
    assert call("webhook", "add", "https://example.org/").code == 2
    assert call("webhook", "add").code == 2
    assert call("webhook", "test", "nonsense").code == 2
    made = call("webhook", "add", "https://127.0.0.1:1/", "--by", "ops", "--allow-private", "--json").json
    failed = call("webhook", "test", made["webhook"]["id"], "--allow-private")
    assert (failed.code, failed.text.split()[0]) == (8, "failed")
    assert call("webhook", "deliver", "--json").json["arrived"] == 0
