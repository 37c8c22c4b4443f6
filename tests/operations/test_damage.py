"""What reading promises when the stored bytes are not those that were put: never a wrong byte, and putting again heals."""

from __future__ import annotations

import os

import pytest

from casstore import Components, Corrupt, Digest
from casstore.errors import Code
from tests.operations.failing import fails


async def read(t, ref):
    return await (await t.get(ref)).bytes()


async def damaged(t, file_of, data, damage):
    """The file of a blob after something happened to it, with its times as they were."""
    version = await t.put("a", data)
    file = file_of(version.components[0].digest)
    times = file.stat()
    damage(file)
    if file.exists():
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return version


DAMAGES = {
    "missing": (lambda file: file.unlink(), Code.BLOB_MISSING),
    "emptied": (lambda file: file.write_bytes(b""), Code.BLOB_ALTERED),
    "truncated": (lambda file: os.truncate(file, 5), Code.BLOB_ALTERED),
    "appended": (lambda file: file.write_bytes(file.read_bytes() + b"\0"), Code.BLOB_ALTERED),
    "doubled": (lambda file: file.write_bytes(file.read_bytes() * 2), Code.BLOB_ALTERED),
    "zeroed": (lambda file: file.write_bytes(bytes(len(file.read_bytes()))), Code.BLOB_ALTERED),
    "reversed": (lambda file: file.write_bytes(file.read_bytes()[::-1]), Code.BLOB_ALTERED),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_told_by_its_own_code_and_healed_by_putting_again(t, file_of, damage):
    hurt, code = DAMAGES[damage]
    data = f"{t.name}: some bytes that will be {damage}".encode()
    version = await damaged(t, file_of, data, hurt)
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
    assert file_of(Digest.of(data)).read_bytes() == data


@pytest.mark.parametrize("damage", DAMAGES)
async def test_healing_works_from_another_name_and_tenant_too(t, other, file_of, damage):
    hurt, code = DAMAGES[damage]
    data = f"{t.name}: shared bytes that will be {damage}".encode()
    await damaged(t, file_of, data, hurt)
    with fails(Corrupt, code):
        await read(t, "a")
    await other.put("elsewhere", data)
    assert await read(t, "a") == await read(other, "elsewhere") == data


async def test_no_flipped_bit_gets_through(t, file_of):
    data = f"{t.name} small".encode()
    await t.put("a", data)
    file = file_of(Digest.of(data))
    artifact = await t.get("a")
    for place in range(len(data)):
        for bit in (0, 7):
            file.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            with fails(Corrupt, Code.BLOB_ALTERED):
                await artifact.bytes()
    file.write_bytes(data)
    assert await artifact.bytes() == data


async def test_no_cut_or_longer_file_gets_through(t, file_of):
    data = f"{t.name} small".encode()
    await t.put("a", data)
    file = file_of(Digest.of(data))
    artifact = await t.get("a")
    for wrong in [*(data[:length] for length in range(len(data))), data + b"x", data + data, b"x" + data]:
        file.write_bytes(wrong)
        with fails(Corrupt, Code.BLOB_ALTERED):
            await artifact.bytes()


async def test_the_last_bytes_of_wrong_ones_are_never_handed_over(t, file_of):
    data = f"{t.name}: ".encode() + b"0123456789" * 20
    await t.put("a", data)
    wrong = b"X" + data[1:]
    file_of(Digest.of(data)).write_bytes(wrong)
    async with await (await t.get("a")).open() as reader:
        got = b""
        with fails(Corrupt, Code.BLOB_ALTERED):
            while piece := await reader.read(7):
                got += piece
        with fails(Corrupt, Code.BLOB_ALTERED):
            await reader.read(7)
    assert len(got) < len(data)


async def test_an_empty_blob_can_be_damaged_too(t, file_of):
    await t.put("a", b"")
    file_of(Digest.of(b"")).write_bytes(b"x")
    with fails(Corrupt, Code.BLOB_ALTERED):
        await read(t, "a")
    await t.put("a", b"")
    assert await read(t, "a") == b""


async def test_damage_to_one_component_leaves_the_others_readable(t, file_of):
    await t.put("a", Components(x=f"{t.name} x", y=f"{t.name} y"))
    file_of(Digest.of(f"{t.name} x".encode())).unlink()
    artifact = await t.get("a")
    with fails(Corrupt, Code.BLOB_MISSING) as caught:
        await artifact["x"].bytes()
    assert caught.value.fields["ref"] == "a@1#x"
    assert await artifact["y"].text() == f"{t.name} y"
