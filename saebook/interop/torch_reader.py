"""A program: reads a file of PyTorch and leaves its tensors as safetensors, in a folder of its own.

PyTorch's loader of weights takes tensors, numbers, text and dictionaries from a pickle and nothing
that could be called. It is a parser of foreign bytes all the same, so `saebook.interop.contents`
runs it apart from everything else, and with little memory.
"""

import json
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Iterator
from typing import Any


def limit_memory(size: int) -> None:
    """No more than some times the size of the file, where the system can be asked for that."""
    try:
        import resource
        from pathlib import Path

        status = Path("/proc/self/status").read_text()
        used = int(status.split("VmData:")[1].split()[0]) * 1024
        most = used + 6 * size + 2**29
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    except (ImportError, OSError, IndexError, ValueError):
        pass


def flat(found: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names, joined by dots, and values of nested dictionaries."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def tensors_and_rest(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors as NumPy arrays, and numbers and text, both by name."""
    import torch

    size = os.path.getsize(path)
    with zipfile.ZipFile(path) as file:
        grown = sum(part.file_size for part in file.infolist())
    if grown > 2 * size + 2**20:
        raise ValueError(f"it would grow from {size} to {grown} bytes")
    limit_memory(size)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text says how to read the file all the same
        what = re.search(r"GLOBAL (\S+)|(Unsupported \w+ \w+)", str(error))
        reason = f", {what[1] or what[2]}" if what else ""
        raise ValueError(
            f"it holds more than tensors, numbers and text{reason}; nothing of it was executed"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"it holds one {type(found).__name__}, not tensors by name")
    tensors, rest, total = {}, {}, 0
    for name, value in flat(found):
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided or value.is_quantized:
                raise ValueError(f"{name} is not a plain tensor")
            if value.numel() * value.element_size() > size:
                raise ValueError(f"{name} has shape {tuple(value.shape)} in a file of {size} bytes")
            total += value.numel() * value.element_size()
            if total > 2 * size:  # one piece of memory under many names is written for each
                raise ValueError(f"its tensors have more than {total} bytes in a file of {size}")
            if value.is_complex():
                raise ValueError(f"{name} must hold floating-point numbers, got {value.dtype}")
            half = value.dtype in (torch.float16, torch.bfloat16)
            value = value.to(torch.uint8) if value.dtype == torch.bool else value
            array = (value.float() if half else value).detach().contiguous().numpy()
            tensors[name] = array.reshape(tuple(value.shape))
        elif value is None or isinstance(value, bool | int | float | str):
            rest[name] = value
        else:
            raise ValueError(f"{name} is a {type(value).__name__}, neither a tensor nor a number")
    return tensors, rest


def main(path: str, out: str) -> None:
    """Print, on the last line, what came of it."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        print(json.dumps({"missing": "torch"}))
        return
    from safetensors.numpy import save_file

    try:
        tensors, rest = tensors_and_rest(path)
        save_file(tensors, f"{out}.safetensors")
        print(json.dumps({"rest": rest}))
    except Exception as error:  # a damaged file can raise whatever the parsers below raise
        print(json.dumps({"error": (str(error) or type(error).__name__).splitlines()[0]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
