"""One git library storing versions, for `corpus.py`: python peer_git.py pygit2-fsync|dulwich FOLDER < paths of files

Runs in an interpreter that has the library, and not casstore. Prints the seconds taken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

Add = Callable[[str, str, bytes], None]


def with_pygit2(folder: str) -> Add:
    """libgit2's loose objects, each object and reference synced."""
    import pygit2  # noqa: PLC0415 - each library may be missing

    pygit2.settings.enable_fsync_gitdir(True)
    repository = pygit2.init_repository(folder, bare=True)
    signature = pygit2.Signature("a", "a@b", 0, 0)

    def add(name: str, label: str, data: bytes) -> None:
        tree = repository.TreeBuilder()
        tree.insert("f", repository.create_blob(data), pygit2.enums.FileMode.BLOB)
        branch = repository.references.get(head := f"refs/heads/{name}")
        parents = [branch.target] if branch else []
        commit = repository.create_commit(head, signature, signature, "v", tree.write(), parents)
        repository.references.create(f"refs/tags/{name}@{label}", commit)

    return add


def with_dulwich(folder: str) -> Add:
    """dulwich's loose objects, which it syncs by itself."""
    from dulwich.objects import Blob, Commit, Tree  # noqa: PLC0415
    from dulwich.repo import Repo  # noqa: PLC0415

    repository = Repo.init_bare(folder, mkdir=True)

    def add(name: str, label: str, data: bytes) -> None:
        blob, tree, commit = Blob.from_string(data), Tree(), Commit()
        tree.add(b"f", 0o100644, blob.id)
        head = f"refs/heads/{name}".encode()
        parent = repository.refs[head] if head in repository.refs else None  # noqa: SIM401 - no such get
        commit.tree, commit.parents, commit.message = tree.id, [parent] if parent else [], b"v"
        commit.author = commit.committer = b"a <a@b>"
        commit.author_time = commit.commit_time = commit.author_timezone = commit.commit_timezone = 0
        for made in (blob, tree, commit):
            repository.object_store.add_object(made)
        if not (
            repository.refs.set_if_equals(head, parent, commit.id)
            if parent
            else repository.refs.add_if_new(head, commit.id)
        ):
            raise AssertionError(name)
        repository.refs.add_if_new(f"refs/tags/{name}@{label}".encode(), commit.id)

    return add


if __name__ == "__main__":
    add = {"pygit2-fsync": with_pygit2, "dulwich": with_dulwich}[sys.argv[1]](sys.argv[2])
    paths = [Path(line) for line in sys.stdin.read().splitlines()]
    begin = time.perf_counter()
    for path in paths:
        add(f"{path.parent.parent.name}.{path.parent.name}", path.stem, path.read_bytes())
    print(time.perf_counter() - begin)
