"""One of the processes of tests/test_distributed.py: trains, and writes what it ended with.

torchrun --nproc-per-node 2 worker.py pytorch TASK FOLDER
TF_CONFIG=... python worker.py tensorflow TASK FOLDER
"""

import contextlib
import dataclasses
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

from saebook import (
    KL,
    L1,
    AuxK,
    BatchTopK,
    Gated,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    kinds,
    parity,
)
from saebook.batches import Shards
from saebook.corruption import GaussianNoise


def config(sparsity, activation="relu", n_latents=8, **more):
    return SAEConfig(12, n_latents, activation, "linear", sparsity=sparsity, **more)


AUX = AuxK(k=2, weight=0.5, dead_after=40)
KINDS = {
    "none": config(None, "sigmoid"),
    "KL": config(KL(rho=0.1, beta=0.5), "sigmoid", weight_decay=1e-3),
    "L1": config(L1(0.05), unit_norm=True, pre_bias=True),
    "TopK": config(TopK(3), tied=True),
    "TopK, sparse products": config(TopK(2), n_latents=40),
    "TopK, AuxK": config(TopK(4, AUX), n_latents=20),
    "BatchTopK": config(BatchTopK(3), unit_norm=True),
    "BatchTopK, AuxK": config(BatchTopK(4, AUX), n_latents=20, pre_bias=True),
    "JumpReLU": config(JumpReLU(weight=0.05, bandwidth=0.5)),
    "Gated": config(Gated(0.05)),
    "Matryoshka": config(BatchTopK(3), groups=(2, 6)),
}
# Any other kind as the ledger has it.
KINDS |= {
    repr(kind): parity.config_of(kind.activations[0], "linear", sparsity=kind)
    for row in kinds.KINDS.values()
    for kind in row
    if type(kind) not in {type(config.sparsity) for config in KINDS.values()}
}
# 100 samples: four batches of 25 rows, which two processes cannot halve.
TRAINING = TrainConfig(epochs=6, batch_size=31, learning_rate=5e-3)


def make(framework, kind, dtype="float64"):
    package = import_module(f"saebook.{framework}")
    model = package.SparseAutoencoder(KINDS[kind], seed=2, dtype=dtype, device="cpu")
    if KINDS[kind].n_latents == parity.N_LATENTS:
        model.from_numpy(parity.start(KINDS[kind]))
    return package, model


def train(framework, kind, dtype="float64", x=None, **options):
    """Weights and history of one training, in one dict of arrays."""
    package, model = make(framework, kind, dtype)
    x = parity.samples().astype(dtype) if x is None else x
    x_val = parity.samples()[:30].astype(dtype)
    history = package.fit(model, x, TRAINING, x_val=x_val, **options)
    return model.to_numpy() | {f"history.{name}": np.array(v) for name, v in history.items()}


def given(x, files):
    """The ways in which the data can come, as options of `train`."""
    return {
        "shards": {"x": Shards(files)},
        "batches": {"x": [x[:31], x[31:36], x[36:]]},
        "noise": {"corruption": GaussianNoise(0.1)},
        "shards, noise": {"x": Shards(files), "corruption": GaussianNoise(0.1)},
    }


def task_kinds(framework, folder, rank, world_size):
    return {
        f"{kind}, {dtype}": train(framework, kind, dtype)
        for kind in KINDS
        for dtype in ("float32", "float64")
    }


def task_data(framework, folder, rank, world_size):
    """Shards and the like; a checkpoint that is taken up; ties; what must not be begun."""
    ways = given(parity.samples(), sorted(folder.glob("part*.npy")))
    found = {name: train(framework, "KL", **options) for name, options in ways.items()}

    path = folder / f"{framework}.safetensors"
    with contextlib.suppress(InterruptedError):
        train(framework, "KL", checkpoint=path, after_epoch=interrupt)
    found["checkpoint"] = train(framework, "KL", checkpoint=path)

    package, model = make(framework, "KL")
    if rank == 0:  # alone: if it waited for the others, this would never end
        package.evaluate(model, parity.samples())

    distributed = import_module(f"saebook.{framework}.distributed")
    topk = import_module(f"saebook.{framework}.topk")
    own = tied_rows(rank, world_size)
    found["ties"] = {}
    for case, a in enumerate(tied()):
        for k in (1, 2, 4):
            find = distributed.together(lambda a, k=k: topk.largest_of_batch(a, k))
            tensor = (
                import_module("torch").tensor
                if framework == "pytorch"
                else import_module("tensorflow").constant
            )
            found["ties"][f"{case}, {k}"] = np.asarray(find(tensor(a[own])))

    errors = {
        "train_config": lambda: package.fit(
            model, parity.samples(), dataclasses.replace(TRAINING, seed=rank)
        ),
        "x": lambda: package.fit(model, parity.samples() + rank, TRAINING),
        "weights": lambda: package.fit(
            package.SparseAutoencoder(KINDS["KL"], seed=rank, dtype="float64", device="cpu"),
            parity.samples(),
            TRAINING,
        ),
        "rows": lambda: package.fit(model, parity.samples()[:1], TRAINING),
    }
    found["errors"] = {name: message(function) for name, function in errors.items()}
    return found


def interrupt(number, row):
    if number == 2:
        raise InterruptedError


class Loader:
    """Batches that can be gone through again and again; nothing tells how many there are."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        yield from self.batches


def task_agree(framework, folder, rank, world_size):
    """What one process alone does or meets: all of them end, and each says why."""
    x, numbers = parity.samples(), []
    package = import_module(f"saebook.{framework}")
    broken = np.lib.format.open_memmap(folder / f"{rank}.npy", "w+", x.dtype, x.shape)
    broken[:] = x
    broken[0, 0] = np.nan  # which is in the share of one process

    def one_fails(number, row):
        if rank == 0 and number == 2:
            raise OSError("the disk is full")

    def one_stops(number, row):
        numbers.append(number)
        return rank == 1 and number == 3

    def fit(x, **options):
        return lambda: package.fit(make(framework, "KL")[1], x, TRAINING, **options)

    errors = {
        "uneven": fit(Loader([x[:31]] * (2 + rank))),
        "divided": fit(Loader([x[31 * rank : 31 * rank + 31]])),
        "lists": fit([x[31 * rank : 31 * rank + 31]]),
        "fails": fit(x, after_epoch=one_fails),
        "width": fit(x[:, : 12 - rank]),
        "row": fit(np.load(folder / f"{rank}.npy", mmap_mode="r")),
        "stops": fit(x, after_epoch=one_stops, checkpoint=folder / "stopped"),
        "again": fit(x, after_epoch=one_stops, checkpoint=folder / "stopped"),
    }
    found = {name: message(function) for name, function in errors.items()}
    return {"agree": found | {"epochs": np.array(numbers)}}


def tied():
    """Batches of 9 rows full of equal numbers; in some the first process has only small ones."""
    for case in range(12):
        a = np.random.default_rng(case).integers(0, 3, (9, 4)).astype(float)
        if case % 3 == 2:
            a[tied_rows(0, 2)] -= 5
        yield a


def tied_rows(rank, world_size):
    return slice(9 * rank // world_size, 9 * (rank + 1) // world_size)


def message(function):
    try:
        function()
    except (ValueError, OSError, RuntimeError) as error:
        return np.array(str(error))
    return np.array("no error")


class Killer:
    """Gives a batch as it is; the last process dies of it in the middle of the fourth epoch."""

    def __init__(self, dies):
        self.dies, self.n_calls = dies, 0

    def __call__(self, batch, rng):
        self.n_calls += 1
        if self.dies and self.n_calls == 3 * 4 + 3:  # the first call makes validation samples
            os.kill(os.getpid(), signal.SIGKILL)
        return batch


def task_kill(framework, folder, rank, world_size):
    first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
    numbers = []
    corruption = Killer(dies=first and rank == world_size - 1 and (folder / "kill").exists())
    ended = train(
        framework,
        "KL",
        corruption=corruption,
        checkpoint=folder / "run.safetensors",
        after_epoch=lambda number, row: numbers.append(number),
    )
    return {"end": ended | {"epochs": np.array(numbers)}}


if __name__ == "__main__":
    framework, task, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    scope = contextlib.nullcontext()
    if framework == "pytorch":
        torch = import_module("torch")
        torch.set_num_threads(1)
        torch.distributed.init_process_group("gloo")
    else:
        scope = import_module("tensorflow").distribute.MultiWorkerMirroredStrategy().scope()
    with scope:
        distributed = import_module(f"saebook.{framework}.distributed")
        rank, world_size = distributed.rank(), distributed.world_size()
        found = globals()[f"task_{task}"](framework, folder, rank, world_size)
    arrays = {f"{case}/{name}": v for case, values in found.items() for name, v in values.items()}
    np.savez(folder / f"{framework}-{task}-{rank}.npz", **arrays)
    if framework == "pytorch":
        torch.distributed.destroy_process_group()
