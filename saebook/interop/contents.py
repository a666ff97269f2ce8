"""What is in a file of another package: tensors and settings, read as data and never executed.

A file may come from anywhere. Its header says what it holds, and is held against its size before
anything is read, so that a small file cannot ask for much memory.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from saebook._types import Array

_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}  # of safetensors
_INTEGERS = {"I8": "i1", "U8": "u1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
_LARGEST_SETTINGS = (
    2**24
)  # bytes of a JSON file; the largest that any package writes has some 10 kB
_LARGEST_GROWTH = 20  # how much a compressed array may grow; weights hardly shrink at all


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or ValueError."""
    if path.stat().st_size > _LARGEST_SETTINGS:
        raise ValueError(
            f"{path} must be a JSON file of at most {_LARGEST_SETTINGS} bytes, "
            f"got {path.stat().st_size}."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} must be a JSON file, got one that cannot be read: {error}"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(found).__name__}.")
    return found


def read_tensors(path: Path, integers: bool = False) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors of a file by name, and what else it holds.

    What a file is, its name says: ``.safetensors``, ``.npz``, or one of PyTorch's, ``.pt`` or
    ``.pth``. Half precision is widened to float32. `integers` lets in a safetensors file with some.
    """
    if path.suffix in (".pt", ".pth"):
        return _read_torch(path)
    read = {".safetensors": _read_safetensors, ".npz": _read_npz}.get(path.suffix)
    if read is None:
        raise ValueError(f"{path} must end in .safetensors, .npz, .pt or .pth.")
    return read(path, integers), {}


def has_header_of_saebook(path: Path) -> bool:
    """Whether a safetensors file says that it is one of ours."""
    with _opened_safetensors(path) as file:
        return "saebook" in (file.metadata() or {})


def flag(path: Path, settings: dict[str, Any], name: str, default: bool) -> bool:
    """A setting that is True or False, or ValueError: "false" in quotes would count as true."""
    found = settings.get(name, default)
    if not isinstance(found, bool):
        raise ValueError(f"{path}: {name} must be true or false, got {found!r}.")
    return found


def names_in(path: Path) -> set[str]:
    """The names of the tensors of a safetensors or .npz file, nothing else of it being read."""
    if path.suffix == ".npz":
        with _opened_zip(path) as file:
            return {name.removesuffix(".npy") for name in file.namelist()}
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} must be a folder, or end in .safetensors, .npz, .pt or .pth.")
    with _opened_safetensors(path) as file:
        return set(file.keys())


def _opened_safetensors(path: Path) -> Any:
    with path.open("rb"):
        pass  # a missing or forbidden file gets the system's own clear error
    try:
        return safe_open(path, framework="numpy")  # refuses a header that does not fit the file
    except SafetensorError as error:
        raise ValueError(
            f"{path} must be a whole safetensors file, got one that cannot be read: {error}."
        ) from None


def _read_safetensors(path: Path, integers: bool) -> dict[str, Array]:
    allowed = _TYPES | (_INTEGERS if integers else {})
    with _opened_safetensors(path) as file:
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        types = {part.get_dtype() for part in parts.values()}
        shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
        types_by_name = {name: part.get_dtype() for name, part in parts.items()}
    if not types <= allowed.keys():
        raise ValueError(
            f"{path} must hold tensors of type F16, F32, F64 or BF16, "
            f"got {', '.join(sorted(types))}."
        )
    found = {}
    with path.open("rb") as raw:  # the library has no bfloat16 in NumPy
        size = int.from_bytes(raw.read(8), "little")
        header = json.loads(raw.read(size))
        for name, shape in shapes.items():
            raw.seek(8 + size + header[name]["data_offsets"][0])
            kind = np.dtype(allowed[types_by_name[name]])
            values = np.fromfile(raw, kind, int(np.prod(shape, dtype=np.int64)))
            found[name] = _widened(values.reshape(shape), types_by_name[name])
    return found


def _widened(value: Array, kind: str) -> Array:
    """A bfloat16, which NumPy does not have, is the upper half of a float32."""
    return (value.astype("<u4") << 16).view("<f4") if kind == "BF16" else value


def _opened_zip(path: Path) -> zipfile.ZipFile:
    try:
        file = zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # BadZipFile, NotImplementedError for a version, and what comes
        raise ValueError(
            f"{path} must be an .npz file, got one that cannot be read: {error}."
        ) from None
    grown = sum(part.file_size for part in file.infolist())
    if grown > _LARGEST_GROWTH * path.stat().st_size + 2**20:
        file.close()
        raise ValueError(
            f"{path} must grow to at most {_LARGEST_GROWTH} times its {path.stat().st_size} bytes "
            f"when it is unpacked, got {grown}."
        )
    return file


def _read_npz(path: Path, integers: bool) -> dict[str, Array]:
    _opened_zip(path).close()
    found = {}
    try:
        with zipfile.ZipFile(path) as file:
            for part in file.infolist():
                name = part.filename.removesuffix(".npy")
                with file.open(part) as member:
                    version = np.lib.format.read_magic(member)
                    if version not in ((1, 0), (2, 0)):
                        raise ValueError(f"{name} is of version {version}")
                    read = f"read_array_header_{version[0]}_0"
                    shape, _, kind = getattr(np.lib.format, read)(member)
                if np.prod(shape, dtype=object) * kind.itemsize > part.file_size:
                    raise ValueError(
                        f"{name} is cut off, of shape {shape} in {part.file_size} bytes"
                    )
                with file.open(part) as member:
                    found[name] = np.lib.format.read_array(member, allow_pickle=False)
    except Exception as error:  # a damaged file can raise whatever the parsers below raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} must be an .npz file of plain arrays, got one that cannot be read: {reason}"
        ) from None
    return found


def _read_torch(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """By PyTorch's loader of weights alone, in a process of its own."""
    with path.open("rb"):
        pass
    said = run_torch_reader(path.resolve())
    if "missing" in said:
        raise ImportError(
            f"{path} is a file of PyTorch, which is not installed: pip install torch."
        )
    if "error" in said:
        raise ValueError(
            f"{path} must be a file of tensors as torch.save writes them, got one that cannot be "
            f"read: {said['error']}"
        )
    return said["tensors"], said["rest"]


def run_torch_reader(path: Path) -> dict[str, Any]:
    """What `saebook.interop.torch_reader` says of a file: it runs alone, and may be killed."""
    program = Path(__file__).with_name("torch_reader.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        # In a folder of its own: where the user works may lie a file that is called torch.py.
        done = subprocess.run(
            [sys.executable, "-c", program, str(path), str(Path(folder) / "out")],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stdout.splitlines()
        if done.returncode or not lines:
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            return {"error": f"its reader ended with status {done.returncode}, saying {last}"}
        said = json.loads(lines[-1])
        if "rest" in said:
            said["tensors"] = _read_safetensors(Path(folder) / "out.safetensors", integers=True)
        return said
