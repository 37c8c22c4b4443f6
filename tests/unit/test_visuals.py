"""Pictures inside results: what is one, what comes in its place, what its role is, and how all that is wrong is told."""

from __future__ import annotations

import base64
import enum
import functools
import json as standard
import struct
from pathlib import Path

import pytest

from casstore import grammar, limits
from casstore.errors import Code, Invalid
from casstore.formats import json
from casstore.integrations.visuals import put_back, take_pictures
from tests.unit.kind_parts import chunk, png_bytes
from tests.unit.visuals_drawn import DATA_URL, encoded, exact

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "hostile"
PNG, OTHER = png_bytes(3, 2), png_bytes(4, 5)
TEXT = encoded(PNG)


def refusal(result) -> Invalid:
    with pytest.raises(Invalid) as caught:
        take_pictures(result)
    error = caught.value
    assert error.hint
    error.message.encode()  # whatever was in the keys, the message can be printed
    return error


def faults(result) -> dict[str, str]:
    error = refusal(result)
    assert error.code is Code.BAD_PICTURE
    return {fault["path"]: fault["message"] for fault in error.fields["faults"]}


def assert_comes_back(result) -> dict:
    """The result as it is stored."""
    taken = take_pictures(result)
    stored = json.decode(json.encode(taken.result))
    back = put_back(stored, {role: each.data for role, each in taken.pictures.items()})
    assert exact(back) == exact(result)
    return stored


def role_of(*path) -> str:
    node = PNG
    for step in reversed(path):
        node = [None] * step + [node] if isinstance(step, int) else {step: node}
    (role,) = take_pictures(node).pictures
    return role


# -- what comes in the place of a picture ----------------------------------------------------------------------------------


def test_a_dictionary_keeps_its_other_keys_and_gets_component_format_and_size():
    result = {"phases": 3, "renderings": {"roadmap_visual": {"title": "Plan", "image_base64": TEXT, "alt": None}}}
    taken = take_pictures(result)
    assert taken.result == {
        "phases": 3,
        "renderings": {
            "roadmap_visual": {
                "storage_path": "cas:component:roadmap_visual",
                "format": "png",
                "width": 3,
                "height": 2,
                "title": "Plan",
                "alt": None,
                "original": {"type": "str", "keys": ["title", "image_base64", "alt"]},
            }
        },
    }
    (picture,) = taken.pictures.values()
    assert (picture.data, picture.picture.width, picture.picture.height) == (PNG, 3, 2)
    assert picture.paths == ("/renderings/roadmap_visual",)
    assert_comes_back(result)


FORMS = {
    "base64": (TEXT, {"type": "str"}),
    "data URL": (DATA_URL + TEXT, {"type": "str", "prefix": DATA_URL}),
    "odd data URL": ("DATA:image/PNG;Base64," + TEXT, {"type": "str", "prefix": "DATA:image/PNG;Base64,"}),
    "bytes": (PNG, {"type": "bytes"}),
    "bytearray": (bytearray(PNG), {"type": "bytearray"}),
    "memoryview": (memoryview(PNG), {"type": "memoryview"}),
    "every other byte": (memoryview(bytes(byte for pair in zip(PNG, PNG, strict=True) for byte in pair))[::2], None),
    "lines": (base64.encodebytes(PNG).decode(), {"type": "str", "layout": [[76, "\n", 1], [len(TEXT) - 76, "\n", 1]]}),
    "indented": (
        f"\n    {TEXT[:50]}\r\n    {TEXT[50:]}",
        {"type": "str", "layout": [[0, "\n    ", 1], [50, "\r\n    ", 1]]},
    ),
    "airy": (
        DATA_URL + TEXT + " " * 3 * len(TEXT),
        {"type": "str", "prefix": DATA_URL, "layout": [[len(TEXT), " " * 3 * len(TEXT), 1]]},
    ),
    "spaced": (DATA_URL + " ".join(TEXT), {"type": "str", "prefix": DATA_URL, "layout": [[1, " ", len(TEXT) - 1]]}),
}


@pytest.mark.parametrize(("value", "form"), FORMS.values(), ids=FORMS)
def test_every_form_comes_back_alone_and_in_a_dictionary(value, form):
    stored = assert_comes_back({"a_visual": {"image_base64": value}, "b_chart": value})
    if form and not str(value)[0].isspace():
        assert stored["b_chart"]["original"] == form
        assert stored["a_visual"]["original"] == {**form, "keys": ["image_base64"]}


def test_the_lines_of_a_long_text_are_told_once():
    result = {"a_visual": {"image_base64": base64.encodebytes(png_bytes(2, 20) + bytes(60_000)).decode()}}
    stored = assert_comes_back(result)
    assert len(stored["a_visual"]["original"]["layout"]) <= 2
    assert len(json.encode(stored)) < 250


def test_what_only_looks_like_a_picture_stays():
    result = {
        "a_visual": None,
        "b_visual": "to be drawn",
        "c_chart": {"mark": "bar", "data": {"url": "data:text/csv,a%2Cb"}, "values": [1, 2.0]},
        "d_chart": "data:\n  - values: [1, 2]",
        "e_visual": "",
        "f_visual": {},
        "image_base64": "?",
        "visual": {"image_base64": "?"},
        "A_VISUAL": {"image_base64": "?"},
        "other": ["data:image/png;base64,?", {"storage_path": "cas:component:main", "original": 1}],
        "g_visual": {"storage_path": "bucket/old.png", "format": "png"},
    }
    taken = take_pictures(result)
    assert taken.result == result
    assert taken.pictures == {}
    assert put_back(result, {}) == result


def test_pictures_are_found_at_any_depth_under_their_key_only():
    result = {
        "pages": [{"flow_visual": {"light": {"image_base64": TEXT}, "all": [PNG, [DATA_URL + TEXT, TEXT]]}}],
        "x": TEXT,
    }
    assert [path for each in take_pictures(result).pictures.values() for path in each.paths] == [
        "/pages/0/flow_visual/light",
        "/pages/0/flow_visual/all/0",
        "/pages/0/flow_visual/all/1/0",
        "/pages/0/flow_visual/all/1/1",
    ]
    assert assert_comes_back(result)["x"] == TEXT


def test_pictures_in_the_dictionary_of_a_picture_are_taken_too():
    result = {
        "a_visual": {
            "image_base64": TEXT,
            "thumbnail": encoded(OTHER),
            "width": OTHER,
            "original": {"image_base64": TEXT},
        }
    }
    assert list(take_pictures(result).pictures) == [
        "a_visual",
        "a_visual.thumbnail",
        "a_visual.width",
        "a_visual.original",
    ]
    stored = assert_comes_back(result)["a_visual"]
    assert stored["thumbnail"]["width"] == 4
    assert stored["original"]["covered"]["width"]["storage_path"] == "cas:component:a_visual.width"


def test_keys_that_a_stand_in_has_itself_come_back():
    covered = {
        "width": "wide",
        "storage_path": "cas:component:main",
        "format": "PNG",
        "original": {"keys": []},
        "height": None,
    }
    stored = assert_comes_back({"a_visual": {"format": "PNG", "image_base64": TEXT, **covered}})
    assert stored["a_visual"]["format"] == "png"
    assert stored["a_visual"]["original"]["covered"] == covered


def test_the_callers_result_is_left_alone():
    shared = {"image_base64": TEXT, "tags": [1]}
    result = {"a_visual": shared, "b_visual": shared, "c": [shared]}
    before = exact(result)
    taken = take_pictures(result)
    taken.result["c"].append(2)
    taken.result["a_visual"]["tags"].append(2)
    assert exact(result) == before


# -- roles -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (("summary_visual",), "summary_visual"),
        (("renderings", "summary_visual"), "summary_visual"),
        (("renderings", "renderings", "x_chart"), "renderings.x_chart"),
        (("x", "renderings", "y_chart"), "x.renderings.y_chart"),
        (("pages", 0, "flow_visual"), "pages.0.flow_visual"),
        (("x_visual", "2-up", 1), "x_visual.2-up.1"),
    ],
)
def test_a_role_is_the_path(path, role):
    assert role_of(*path) == role


def test_where_the_path_is_no_role_a_hash_of_it_is_in_it():
    assert role_of("Flow_visual") == "flow-visual..79ceb80a4b6abffe4d151fdbcb3de369"
    paths = [
        ("Flow_visual",), ("a.b_visual",), ("a", "b_visual"), ("a.", "b_visual"), ("", "b_visual"), ("_visual",), ("1_visual",),
        ("renderings", "FLOW_visual"), ("ü_chart",), ("u\u0308_chart",), ("\ud800_chart",), ("\n_chart",), ("a/b_chart",),
        ("a~1b_chart",), ("1" * 60 + "_chart",), ("-" * 70 + "_chart",),
        ("a" * 60 + "_visual",), ("a" * 61 + "_visual",), ("x", "Y", "z_visual"), ("x_visual", "Z_visual"),
        ("a_visual", "", "b"), ("a_visual", ""), ("a_visual", "..b"),
    ]  # fmt: skip
    assert len({grammar.check_role(role_of(*path)) for path in paths}) == len(paths)


def test_the_same_picture_among_the_renderings_is_one_component_and_another_is_two():
    same = take_pictures({"renderings": {"a_visual": {"image_base64": TEXT}}, "a_visual": PNG})
    assert {role: each.paths for role, each in same.pictures.items()} == {
        "a_visual": ("/renderings/a_visual", "/a_visual")
    }
    result = {"renderings": {"a_visual": OTHER, "renderings": {"a_visual": OTHER}}, "a_visual": PNG}
    taken = take_pictures(result)
    assert {role: each.data for role, each in taken.pictures.items()} == {"renderings.a_visual": OTHER, "a_visual": PNG}
    assert_comes_back(result)


def test_the_same_picture_elsewhere_has_a_role_of_each_path():
    taken = take_pictures({"current_state_chart": PNG, "coexistence_state_chart": PNG})
    assert list(taken.pictures) == ["current_state_chart", "coexistence_state_chart"]


# -- faults ----------------------------------------------------------------------------------------------------------------

BAD_END = PNG[:-1]
BAD = {
    "null": ({"image_base64": None}, "/image_base64", "is a NoneType, not text"),
    "a number": ({"image_base64": 7}, "/image_base64", "is a int, not text"),
    "a dictionary": ({"image_base64": {"image_base64": TEXT}}, "/image_base64", "is a dict, not text"),
    "empty": ({"image_base64": ""}, "/image_base64", "empty"),
    "empty URL": (DATA_URL, "", "empty"),
    "no bytes": (b"", "", "empty"),
    "blank": ({"image_base64": " \n"}, "/image_base64", "whitespace"),
    "mostly blank": ({"image_base64": TEXT + " " * (3 * len(TEXT) + 1)}, "/image_base64", "whitespace"),
    "no base64": ({"image_base64": "not base64!"}, "/image_base64", "no character of base64"),
    "no padding": ({"image_base64": TEXT.rstrip("=")}, "/image_base64", "ends within a group"),
    "base64 as bytes": ({"image_base64": TEXT.encode()}, "/image_base64", "signature"),
    "cut": ({"image_base64": encoded(BAD_END)}, "/image_base64", "byte"),
    "cut bytes": (BAD_END, "", "byte"),
    "cut in a list": ([None, DATA_URL + encoded(BAD_END)], "/1", "byte"),
    "a JPEG": ({"image_base64": encoded(b"\xff\xd8\xff\xe0 a JPEG")}, "/image_base64", "signature"),
    "a JPEG by its type": ("data:image/jpeg;base64,/9j/", "", "not of image/png"),
    "SVG": ({"icon": "data:image/svg+xml,<svg/>"}, "/icon", "not of image/png"),
    "another type": (f"data:application/octet-stream;base64,{TEXT}", "", "not of image/png"),
    "a URL cut short": ("data:image/png;base64", "", "not of image/png"),
    "a blank before": (f" {DATA_URL}{TEXT}", "", "no character of base64"),
    "a surrogate": ({"image_base64": "\ud800"}, "/image_base64", "no character of base64"),
    "words": (memoryview(struct.pack("4I", 1, 2, 3, 4)).cast("I"), "", "memoryview of 'I' in 1 dimensions"),
    "a table": (memoryview(PNG[:64]).cast("B", (8, 8)), "", "in 2 dimensions"),
    "a stand-in": ({"storage_path": "cas:component:a_visual", "format": "png"}, "", "stored before"),
    "a fault inside": ({"image_base64": TEXT, "icon": BAD_END}, "/icon", "byte"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "below", "message"), BAD.values(), ids=BAD)
def test_what_is_no_sound_picture_is_refused_with_its_path(value, below, message):
    found = faults({"ok_visual": PNG, "x": [{"a_visual": value}]})
    assert list(found) == ["/x/0/a_visual" + below]
    assert message in found["/x/0/a_visual" + below]


def test_all_faults_are_told_at_once_in_the_order_of_the_document():
    result = {"z_visual": b"", "renderings": {"a/b_chart": [PNG, {"image_base64": "?"}]}, "c_visual": BAD_END}
    paths = ["/z_visual", "/renderings/a~1b_chart/1/image_base64", "/c_visual"]
    assert list(faults(result)) == paths
    message = refusal(result).message
    assert [message.index(f"{path}: ") for path in paths] == sorted(message.index(f"{path}: ") for path in paths)


def test_faults_are_bounded():
    error = refusal({"n" * 10_000 + "_visual": [b""] * (limits.FAULTS_MAX + 20)})
    assert len(error.fields["faults"]) == limits.FAULTS_MAX
    assert error.fields["count"] == limits.FAULTS_MAX + 20
    assert error.message.endswith(f"and {limits.FAULTS_MAX + 10} more")
    assert len(error.message) < 5_000
    assert "/119: " not in error.message


@pytest.mark.parametrize("key", ["\ud800_visual", "\n_visual", "\x1b[31m_visual", "'\"_visual"])
def test_faults_under_any_key_can_be_printed(key):
    assert refusal({key: b""}).message.isprintable()


def test_a_wrong_checksum_that_does_no_harm_is_noted():
    comment = chunk(b"tEXt", b"Comment\0!")
    noted = PNG[:33] + comment[:-1] + bytes([comment[-1] ^ 1]) + PNG[33:]
    (picture,) = take_pictures({"a_visual": noted}).pictures.values()
    assert picture.data == noted
    assert "tEXt" in picture.picture.notes[0]
    assert_comes_back({"a_visual": noted})


# -- results that are no JSON ----------------------------------------------------------------------------------------------


def test_what_json_does_not_have_is_left_to_who_stores_it():
    result = {
        "a_visual": {"image_base64": TEXT, 5: PNG, None: "x"},
        ("b_visual",): PNG,
        "c": {1, 2},
        "d_visual": (PNG,),
        "e": PNG,
    }
    taken = take_pictures(result)
    assert list(taken.pictures) == ["a_visual"]
    assert exact(put_back(taken.result, {"a_visual": PNG})) == exact(result)
    with pytest.raises(Invalid, match="JSON keys are strings"):
        json.encode(taken.result)


def test_keys_of_an_enum_are_the_text_they_are():
    class Key(enum.StrEnum):
        PICTURE = "a_visual"

    class Odd(str, enum.Enum):  # noqa: UP042 - it prints as Odd.PICTURE
        PICTURE = "b_visual"

    taken = take_pictures({Key.PICTURE: PNG, Odd.PICTURE: PNG})
    assert [(role, *each.paths) for role, each in taken.pictures.items()] == [
        ("a_visual", "/a_visual"),
        ("b_visual", "/b_visual"),
    ]


def nested(levels, bottom):
    return functools.reduce(lambda inner, level: {"a": inner} if level % 2 else [inner], range(levels), bottom)


def test_the_deepest_result_is_taken_and_a_deeper_one_refused():
    assert take_pictures({"x": nested(limits.JSON_MAX_DEPTH - 2, {"a_visual": PNG})}).pictures
    for result in ({"x": nested(limits.JSON_MAX_DEPTH, {})}, {"a_visual": nested(100_000, b"")}):
        error = refusal(result)
        assert error.code is Code.BAD_JSON
        assert "levels deep" in error.message
        assert len(error.message) < 500


@pytest.mark.parametrize("key", ["x", "a_visual"])
def test_what_contains_itself_is_refused_at_once(key):
    result = {"b_visual": b"not looked at", "image_base64": TEXT}
    result[key] = [result, result]
    assert refusal(result).code is Code.BAD_JSON


# -- putting back what was not taken ---------------------------------------------------------------------------------------


def refused_back(result, pictures) -> Invalid:
    with pytest.raises(Invalid) as caught:
        put_back(result, pictures)
    assert caught.value.code is Code.BAD_PICTURE
    assert caught.value.fields["path"] == "/x/a_visual"
    assert "/x/a_visual" in caught.value.message
    return caught.value


def test_a_component_that_is_not_there_is_told():
    taken = take_pictures({"x": {"a_visual": PNG}})
    assert (
        "names the component 'x.a_visual', which was not given" in refused_back(taken.result, {"a_visual": PNG}).message
    )


HUGE = 10**12
ORIGINALS = [
    None, [], {}, {"type": "tuple"}, {"type": []}, {"type": "bytes", "keys": ["b"]}, {"type": "bytes", "keys": 1},
    {"type": "bytes", "keys": [[]]}, {"type": "bytes", "keys": [], "covered": 1}, {"type": "str", "prefix": 1},
    {"type": "str", "layout": 1}, {"type": "str", "layout": [1]}, {"type": "str", "layout": [["a", " ", 1]]},
    {"type": "str", "layout": [[1, 1, 1]]}, {"type": "str", "layout": [[0, "", HUGE]]},
    {"type": "str", "layout": [[0, " ", HUGE], [0, " ", -HUGE]]}, {"type": "str", "layout": [[0, " " * 9_999, 9]]},
]  # fmt: skip


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: standard.dumps(original)[:50])
def test_a_stand_in_made_by_hand_is_refused(original):
    stand_in = {"storage_path": "cas:component:a", "original": original}
    refused_back({"x": {"a_visual": stand_in}}, {"a": PNG})


def test_a_stand_in_without_an_original_is_refused():
    refused_back({"x": {"a_visual": {"storage_path": "cas:component:a"}}}, {"a": PNG})


# -- pictures of others ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_hostile_pictures_get_the_answer_they_are_kept_for():
    expected, result = {}, {}
    for line in (CORPUS.parent / "index.jsonl").read_text("utf-8").splitlines():
        entry = standard.loads(line)
        if entry["path"].startswith("hostile/png-"):
            key = f"{entry['name']}-{entry['version']}_visual"
            result[key] = {"image_base64": encoded((CORPUS.parent / entry["path"]).read_bytes())}
            expected[key] = entry["expect"]
    refused = [f"/{key}/image_base64" for key, answer in expected.items() if answer == "refuse"]
    assert list(faults(result)) == refused
    assert len(refused) >= 9
    assert_comes_back({key: value for key, value in result.items() if expected[key] == "accept"})
