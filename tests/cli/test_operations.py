"""The operation log on the command line: told, and undone."""

from __future__ import annotations


def test_what_was_done_is_told_and_undone(call, put):
    put("w/x", "one")
    put("w/x", "two")
    call("alias", "w/x@1", "prod")
    call("alias", "w/x@2", "prod")
    call("state", "w/x@2", "accepted", "--by", "ann", "--reason", "fine\x1b[2J")
    told = call("op", "log").text
    assert [line.split()[1:3] for line in told.splitlines()] == [
        ["OP", "OF"],
        ["accepted", "w/x@2"],
        ["alias", "w/x@2"],
        ["alias", "w/x@1"],
        ["put", "w/x@2"],
        ["put", "w/x@1"],
    ]
    assert "prod: 1 → 2" in told
    assert "prod: nothing → 1" in told
    assert "fine\\x1b[2J" in told
    moved = call("op", "log", "w/x", "--op", "alias", "--json").json["items"][0]
    assert (moved["ref"], moved["before"], moved["after"], moved["undone_by"]) == ("w/x@2", 1, 2, None)
    undone = call("op", "undo", f"{moved['id']}", "--by", "ops", "--reason", "too early")
    assert f"w/x@2  {moved['id']} is undone, by " in undone.text
    assert call("show", "w/x@prod", "--json").json["number"] == 1
    again = call("op", "undo", f"{moved['id']}", "--by", "ops", "--json").json
    assert (again["op"], again["undoes"], again["by"], again["reason"]) == ("undo", moved["id"], "ops", "too early")
    assert f"2 (undone by {again['id']})" in call("op", "log", "w/x@2").text


def test_pages_of_what_was_done(call, put):
    for text in ("one", "two"):
        put("w/x", text)
    first = call("op", "log", "--limit", "1", "--json").json
    rest = call("op", "log", "--limit", "1", "--cursor", first["cursor"], "--json").json
    assert [item["ref"] for item in (*first["items"], *rest["items"])] == ["w/x@2", "w/x@1"]
    assert rest["cursor"] is None
    assert f"--cursor {first['cursor']}" in call("op", "log", "--limit", "1").err


def test_what_cannot_be_undone_ends_with_its_code(call, put):
    put("w/x", "one")
    call("alias", "w/x@1", "prod")
    call("alias", "w/x", "prod", "--delete")
    removed, moved, made = (item["id"] for item in call("op", "log", "--json").json["items"])
    for number, code, error in (
        (made, 2, "not_undoable"),
        (moved, 5, "undo_superseded"),
        (10**9, 4, "operation_not_found"),
    ):
        refused = call("op", "undo", f"{number}", "--by", "me", "--json")
        assert (refused.code, refused.error["error"]) == (code, error)
    assert call("op", "undo", f"{removed}", "--by", "me").code == 0
    for wrong in (["op", "undo"], ["op", "undo", "w/x", "--by", "me"], ["op", "undo", f"{moved}"], ["op", "redo"]):
        assert call(*wrong).code == 2


def test_operations_that_there_are_not_are_refused_with_those_that_there_are(call):
    refused = call("op", "log", "--op", "nope", "--json")
    assert (refused.code, refused.error["error"]) == (2, "bad_argument")
    assert {"put", "unalias", "transaction"} <= set(refused.error["hint"].replace(",", " ").replace(".", " ").split())
    refused = call("webhook", "add", "https://example.org/", "--op", "nope", "--by", "ops", "--json")
    assert (refused.code, refused.error["error"]) == (2, "bad_webhook")
    assert "put, alias" in refused.error["hint"]
    assert (
        call("webhook", "add", "https://example.org/", "--op", "transaction", "--by", "ops").code == 2
    )  # it is no event
    assert call("webhook", "ls", "--json").json["items"] == []
