"""What the package costs before any training: time and memory, each in a process of its own.

    python benchmarks/footprint.py

Times are this machine's, the best of three runs; memory is what the process took from the system in
all, a bare Python included, except for the memory-mapped file, where it is what training adds.
Reads /proc, so it needs Linux.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PROLOGUE = """
import time
start = time.perf_counter()

def megabytes(entry):  # VmHWM: the most it ever had; RssAnon: what it has that is not a file's
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(entry)) / 1024

def report(used=None):
    seconds = time.perf_counter() - start
    print(seconds, megabytes("VmHWM") if used is None else used)
"""

STREAM = """
from importlib import import_module
import numpy as np
from saebook import SAEConfig, TrainConfig
package = import_module("saebook.{name}")
model = package.SparseAutoencoder(SAEConfig(1000, 64), device="cpu")
training = TrainConfig(epochs=1, batch_size=1000)
package.fit(model, np.zeros((2000, 1000), np.float32), training)
before, start = megabytes("RssAnon"), time.perf_counter()
package.fit(model, np.load({path!r}, mmap_mode="r"), training)
report(max(megabytes("RssAnon") - before, 0))
"""


def measure(code, repeats=3):
    """Least seconds and least megabytes of some runs of a piece of code."""
    runs = [
        subprocess.run([sys.executable, "-c", PROLOGUE + code], capture_output=True, text=True)
        for _ in range(repeats)
    ]
    failed = next((run.stderr for run in runs if run.returncode), None)
    if failed:
        raise RuntimeError(failed)
    return np.min([[float(value) for value in run.stdout.split()] for run in runs], axis=0)


def main():
    rows = {
        "python": "report()",
        "import numpy": "import numpy; report()",
        "import saebook": "import saebook; report()",
        "mnist()": "import saebook; start = time.perf_counter(); saebook.mnist(); report()",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "x.npy")
        file = np.lib.format.open_memmap(path, "w+", np.float32, (250_000, 1_000))
        file[::100] = 0.5
        file.flush()
        del file
        for name in ("pytorch", "tensorflow"):
            rows[f"an epoch over a file of 1 GB, {name}"] = STREAM.format(name=name, path=path)
        print(f"{'':<42} {'seconds':>8} {'MB':>6}")
        for label, code in rows.items():
            seconds, megabytes = measure(code, repeats=1 if "file" in label else 3)
            print(f"{label:<42} {seconds:8.2f} {megabytes:6.0f}")


if __name__ == "__main__":
    main()
