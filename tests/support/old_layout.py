"""The platform's old layout as it was written: documents, and pictures as objects of their own."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

from casstore.formats import png
from casstore.kinds.picture import KEY_ENDS

Files = dict[str, bytes]


def written(path: str, result: dict[str, Any], *, folder: str | None = None, **envelope: Any) -> Files:
    """The objects of a result whose document is at `path`: each picture in it is in `folder`, and is referred to.

    With fields of an envelope, the result is its `artifact_data`.
    """
    files: Files = {}
    document = _referring(result, folder or path.removesuffix(".json"), files)
    files[path] = json.dumps({"artifact_data": document, **envelope} if envelope else document).encode()
    return files


def _referring(node: Any, folder: str, files: Files) -> Any:
    if isinstance(node, list):
        return [_referring(child, folder, files) for child in node]
    if not isinstance(node, dict):
        return node
    shown: dict[str, Any] = {}
    for key, child in node.items():
        if key == "image_base64" and isinstance(child, str) and child.startswith("iVBORw0KGgo"):
            path = f"{folder}/{len(files)}.png"
            files[path] = base64.b64decode(child)
            shown |= {"storage_path": path, "format": "png"}
        else:
            shown[key] = _referring(child, folder, files)
    return shown


def platform(node: Any, *, inside: bool = False) -> Any:
    """A drawn result as the platform had it: JSON, whose pictures are plain base64 in dictionaries that say no other path."""
    match node:
        case bytes() | bytearray() | memoryview():
            return {"image_base64": base64.b64encode(node).decode()}
        case list():
            return [platform(child, inside=inside) for child in node]
        case dict():
            return dict(_platform_items(node, inside))
    return node


def _platform_items(node: dict[str, Any], inside: bool) -> Any:
    for key, child in node.items():
        if key in ("storage_path", "format"):
            yield f"its_{key}", platform(child, inside=inside)
        elif key == "image_base64" and inside:
            data = png.decode_base64(child) if isinstance(child, str) else bytes(child)
            yield key, base64.b64encode(data).decode()
        else:
            yield key, platform(child, inside=inside or key.endswith(KEY_ENDS))


def write(root: Path, files: Files) -> Path:
    """These files below a folder."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def state_of(root: Path) -> dict[str, Any]:
    """Everything about a folder and what is in it, but when it was read."""
    found: dict[str, Any] = {}
    for path in [root, *root.rglob("*")]:
        about = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if stat.S_ISREG(about.st_mode) else None
        found[os.fspath(path)] = (
            about.st_mode,
            about.st_ino,
            about.st_nlink,
            about.st_mtime_ns,
            about.st_ctime_ns,
            content,
        )
    return found
