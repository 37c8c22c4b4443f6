"""What reading promises when the stored bytes are not those that were put: never a wrong byte, and putting again heals."""

from __future__ import annotations

import pytest

from casstore import Components, Corrupt, Digest
from casstore.errors import Code
from tests.operations.failing import fails


async def read(t, ref):
    return await (await t.get(ref)).bytes()


DAMAGES = {  # what becomes of the bytes
    "missing": (lambda _: None, Code.BLOB_MISSING),
    "emptied": (lambda _: b"", Code.BLOB_ALTERED),
    "truncated": (lambda data: data[:5], Code.BLOB_ALTERED),
    "appended": (lambda data: data + b"\0", Code.BLOB_ALTERED),
    "doubled": (lambda data: data * 2, Code.BLOB_ALTERED),
    "zeroed": (lambda data: bytes(len(data)), Code.BLOB_ALTERED),
    "reversed": (lambda data: data[::-1], Code.BLOB_ALTERED),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_told_by_its_own_code_and_healed_by_putting_again(t, stored, damage):
    hurt, code = DAMAGES[damage]
    data = f"{t.name}: some bytes that will be {damage}".encode()
    version = await t.put("a", data)
    stored.damage(Digest.of(data), hurt(data))
    for _ in range(2):
        with fails(Corrupt, code) as caught:
            await read(t, "a")
    assert caught.value.fields["ref"] == "a@1#main"
    assert caught.value.fields["digest"] == str(version.components[0].digest)
    assert caught.value.hint
    assert (await t.resolve("a")).number == 1, "the version is still known"
    again = await t.put("a", data)
    assert (again.id, again.reused) == (version.id, True)
    assert await read(t, "a") == data
    assert stored.of(Digest.of(data)) == data


@pytest.mark.parametrize("damage", DAMAGES)
async def test_healing_works_from_another_name_and_tenant_too(t, other, stored, damage):
    hurt, code = DAMAGES[damage]
    data = f"{t.name}: shared bytes that will be {damage}".encode()
    await t.put("a", data)
    stored.damage(Digest.of(data), hurt(data))
    with fails(Corrupt, code):
        await read(t, "a")
    await other.put("elsewhere", data)
    assert await read(t, "a") == await read(other, "elsewhere") == data


async def test_no_flipped_bit_gets_through(t, stored):
    data = f"{t.name} small".encode()
    await t.put("a", data)
    artifact = await t.get("a")
    for place in range(len(data)):
        for bit in (0, 7):
            stored.damage(Digest.of(data), data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            with fails(Corrupt, Code.BLOB_ALTERED):
                await artifact.bytes()
    stored.damage(Digest.of(data), data)
    assert await artifact.bytes() == data


async def test_no_cut_or_longer_file_gets_through(t, stored):
    data = f"{t.name} small".encode()
    await t.put("a", data)
    artifact = await t.get("a")
    for wrong in [*(data[:length] for length in range(len(data))), data + b"x", data + data, b"x" + data]:
        stored.damage(Digest.of(data), wrong)
        with fails(Corrupt, Code.BLOB_ALTERED):
            await artifact.bytes()


async def test_the_last_bytes_of_wrong_ones_are_never_handed_over(t, stored):
    data = f"{t.name}: ".encode() + b"0123456789" * 20
    await t.put("a", data)
    wrong = b"X" + data[1:]
    stored.damage(Digest.of(data), wrong)
    async with await (await t.get("a")).open() as reader:
        got = b""
        with fails(Corrupt, Code.BLOB_ALTERED):
            while piece := await reader.read(7):
                got += piece
        with fails(Corrupt, Code.BLOB_ALTERED):
            await reader.read(7)
    assert len(got) < len(data)


async def test_an_empty_blob_can_be_damaged_too(t, stored):
    await t.put("a", b"")
    stored.damage(Digest.of(b""), b"x")
    with fails(Corrupt, Code.BLOB_ALTERED):
        await read(t, "a")
    await t.put("a", b"")
    assert await read(t, "a") == b""


async def test_damage_to_one_component_leaves_the_others_readable(t, stored):
    await t.put("a", Components(x=f"{t.name} x", y=f"{t.name} y"))
    stored.damage(Digest.of(f"{t.name} x".encode()), None)
    artifact = await t.get("a")
    with fails(Corrupt, Code.BLOB_MISSING) as caught:
        await artifact["x"].bytes()
    assert caught.value.fields["ref"] == "a@1#x"
    assert await artifact["y"].text() == f"{t.name} y"
