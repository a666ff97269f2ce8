"""Measure speed side by side, and write it down for the book: python -m benchmarks [PART ...]

The numbers go to saebook/pages/results/speed.json, which the page "How fast is it" shows. A part
that is not named keeps what it had. Have nothing else running: all is compared within one run, but
two threads that wait for each other suffer from a third.
"""

import argparse
import hashlib
import json
import os
import subprocess
import time
import warnings

# It counts only before TensorFlow is imported. oneDNN stays on, as TensorFlow comes with it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from importlib import import_module

import numpy as np

from benchmarks import contestants as c
from benchmarks import loaders, works
from benchmarks import quality as quality_of
from benchmarks.footprint import measure
from benchmarks.side_by_side import run
from experiments.__main__ import ROOT, store
from saebook import KL, SAEConfig, TopK, TrainConfig
from saebook.start import init_from_samples

PEERS = ROOT / ".venv-peers" / "bin" / "python"
FRAMEWORKS = ("pytorch", "tensorflow")
OURS = {"saebook, PyTorch": c.saebook_pytorch, "saebook, TensorFlow": c.saebook_tensorflow}
CEILINGS = {
    "five products, PyTorch": c.pytorch_products,
    "five products, TensorFlow": c.tensorflow_products,
}


def kl_256():
    others = {"Keras model.fit": c.keras_fit, "plain PyTorch loop": c.plain_pytorch}
    return run(works.KL_256, OURS | CEILINGS | others)


def kl_4096():
    return run(works.KL_4096, OURS | CEILINGS, repeats=3)


def document():
    """The source document's way of training, at its sizes."""
    of_pytorch = {"saebook, PyTorch": c.saebook_pytorch, "its way, PyTorch": c.document_pytorch}
    of_tensorflow = {
        "saebook, TensorFlow": c.saebook_tensorflow,
        "its way, TensorFlow": c.document_tensorflow,
    }
    return {
        "pytorch": run(works.DOCUMENT_PYTORCH, of_pytorch, repeats=9),
        "tensorflow": run(works.DOCUMENT_TENSORFLOW, of_tensorflow, repeats=9),
    }


def loader():
    """The same samples from an array and from the loaders that people have them in."""
    of_pytorch = {
        "array": c.saebook_pytorch,
        "list of batches": loaders.batches,
        "DataLoader of tensors": loaders.tensor_data_set,
        "DataLoader of torchvision": loaders.torchvision,
        "the same, two workers": loaders.torchvision_two_workers,
    }
    of_tensorflow = {
        "array": c.saebook_tensorflow,
        "tf.data, map then batch": loaders.tf_data,
        "tf.data, batch then map": loaders.tf_data_batched_first,
    }
    return {
        "pytorch": run(works.LOADED, of_pytorch, repeats=9),
        "tensorflow": run(works.LOADED, of_tensorflow, repeats=9),
    }


def topk():
    return run(works.TOPK, OURS | CEILINGS, repeats=3)


def peers():
    """Other packages, in an environment of their own."""
    return beside_peers("speed")


def beside_peers(part):
    """Tables of `benchmarks.peers`, made where the other packages are."""
    command = [str(PEERS), "-m", "benchmarks.peers", part]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, end="")
    return json.loads(done.stdout.splitlines()[-1])


def quality():
    """Seconds to a given error: other packages and ours, and ours in both frameworks."""
    of_tensorflow = {
        "saebook, TensorFlow": c.saebook_tensorflow,
        "saebook, TensorFlow, narrow first": c.narrow_first_tensorflow,
    }
    return {"peers": beside_peers("quality"), "frameworks": quality_of.of(of_tensorflow)}


def dead():
    """Latents that are dead at that error, by learning rate."""
    return beside_peers("dead")


def recipes():
    """The shortest call beside that of the version before, for every kind and two widths."""
    return quality_of.recipes()


def dictionary_learning(n_latents=256, n_samples=10_000, seed=0):
    """Seconds until the error of scikit-learn's dictionary learning is reached, at its sparsity."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    from saebook.metrics import fvu

    x, x_val = works.digits()
    x = np.ascontiguousarray(x[:n_samples])
    mean = x.mean(axis=0)
    learner = MiniBatchDictionaryLearning(
        n_latents, alpha=1.0, batch_size=256, max_iter=1, fit_algorithm="lars",
        transform_algorithm="lasso_lars", random_state=seed, max_no_improvement=None,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        learner.fit(x - mean)
        seconds = time.perf_counter() - start
        z = learner.transform(x_val - mean)
    target = fvu(x_val, z @ learner.components_ + mean)
    l0 = (z != 0).sum(axis=1).mean()
    table = {
        "scikit-learn": {"seconds": round(seconds, 2), "fvu": round(target, 4), "l0": round(l0, 1)}
    }
    config = SAEConfig(784, n_latents, sparsity=TopK(int(l0)), tied=True, pre_bias=False)
    for framework in FRAMEWORKS:
        package = import_module(f"saebook.{framework}")
        for _ in range(2):  # the first time loads and warms the framework
            model = package.SparseAutoencoder(config, device="cpu")
            start = time.perf_counter()
            model.from_numpy(init_from_samples(config, x, seed, norm=0.5))
            history = package.fit(
                model, x, TrainConfig(50, 256, 2e-3), x_val, progress=False,
                after_epoch=lambda _, row: row["val_fvu"] <= target,
            )  # fmt: skip
            seconds = time.perf_counter() - start
        table[framework] = {
            "seconds": round(seconds, 2),
            "fvu": round(history["val_fvu"][-1], 4),
            "l0": int(l0),
            "epochs": len(history["loss"]),
        }
    return table


def sweep(n_models=8, repeats=5):
    """Several models as one, in units of one model alone."""
    x, _ = works.digits()
    table = {}
    for n_latents, batch_size in ((32, 64), (64, 64), (256, 256)):
        rows = np.ascontiguousarray(x[: 60 * batch_size])
        configs = [SAEConfig(784, n_latents, sparsity=KL(r, 0.1)) for r in (0.02, 0.05, 0.1, 0.2)]
        configs = (configs * n_models)[:n_models]
        training = TrainConfig(3, batch_size)
        for framework in FRAMEWORKS:
            package = import_module(f"saebook.{framework}")
            fit_many = import_module(f"saebook.{framework}.sweep").fit_many
            together, alone = [], []
            for _ in range(repeats):
                for many, seconds in ((True, together), (False, alone)):
                    models = [
                        package.SparseAutoencoder(config, seed=seed, device="cpu")
                        for seed, config in enumerate(configs if many else configs[:1])
                    ]
                    start = time.perf_counter()
                    if many:
                        fit_many(models, rows, training)
                    else:
                        package.fit(models[0], rows, training, progress=False)
                    seconds.append(time.perf_counter() - start)
            table[f"{framework}, {n_latents} latents, batch {batch_size}"] = {
                "together": round(float(np.median(together)), 3),
                "alone": round(float(np.median(alone)), 3),
                "in_runs": round(float(np.median(together) / np.median(alone)), 2),
            }
    return {"n_models": n_models, "table": table}


# Sizes over two orders of magnitude, the other sizes held at a middle value.
GROWTH = {
    "n_samples": (500, 1_600, 5_000, 16_000, 50_000),
    "n_features": (40, 125, 400, 1_250, 4_000),
    "n_latents": (40, 125, 400, 1_250, 4_000),
    "batch_size": (16, 50, 160, 500, 1_600),
}
MIDDLE = {"n_samples": 5_000, "n_features": 784, "n_latents": 256, "batch_size": 256}


def growth(repeats=5):
    """Seconds of an epoch against each size, and the slope on logarithmic axes.

    The least of some turns, one for each size in every round: what else a machine does only adds.
    """
    table = {}
    for framework in FRAMEWORKS:
        contestant = getattr(c, f"saebook_{framework}")
        for name, sizes in GROWTH.items():
            seconds = dict.fromkeys(sizes, np.inf)
            for _ in range(repeats):
                for size in sizes:
                    given = MIDDLE | {name: size}
                    config = SAEConfig(
                        given["n_features"], given["n_latents"], sparsity=KL(0.05, 0.1)
                    )
                    work = works.Work(config, given["batch_size"], given["n_samples"], 2)
                    shape = (work.n_samples, config.n_features)
                    x = np.random.default_rng(0).random(shape, dtype=np.float32)
                    stamps = []
                    contestant(work, x, 2, lambda *_, s=stamps: s.append(time.perf_counter()))
                    seconds[size] = min(seconds[size], stamps[1] - stamps[0])
            slope = np.polyfit(np.log(sizes), np.log(list(seconds.values())), 1)[0]
            table[f"{framework}, {name}"] = {
                "sizes": sizes,
                "seconds": [round(s, 4) for s in seconds.values()],
                "slope": round(float(slope), 3),
            }
            print(f"  {framework}, {name}: slope {slope:.2f}", flush=True)
    return table


MEMORY = """
from benchmarks import contestants, works
from dataclasses import replace
x = works.digits()[0][:25_600]
contestants.{name}(replace(works.KL_256, n_epochs={epochs}), x, {epochs}, lambda *_: None)
report()
"""


def memory():
    """MiB of a process that trains, in all, for one and for ten epochs."""
    table = {}
    names = {
        "saebook, PyTorch": "saebook_pytorch",
        "saebook, TensorFlow": "saebook_tensorflow",
        "Keras model.fit": "keras_fit",
        "plain PyTorch loop": "plain_pytorch",
    }
    for label, name in names.items():
        peaks = [measure(MEMORY.format(name=name, epochs=n), repeats=2)[1] for n in (1, 10)]
        table[label] = dict(zip(("one epoch", "ten epochs"), map(round, peaks), strict=True))
    return table


PARTS = {
    part.__name__: part
    for part in (
        kl_256, kl_4096, document, loader, topk, peers, quality, dead, recipes,
        dictionary_learning, sweep, growth, memory,
    )
}  # fmt: skip


def checksum(found):
    """Of the numbers, so that a change by hand is noticed."""
    numbers = {name: part for name, part in found.items() if name not in ("checksum", "run")}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    names = parser.parse_args(arguments).parts or list(PARTS)
    if unknown := set(names) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    path = ROOT / "saebook" / "pages" / "results" / "speed.json"
    found = json.loads(path.read_text("utf8")) if path.exists() else {}
    start = time.perf_counter()
    for name in names:
        print(name, flush=True)
        found[name] = PARTS[name]()
    found["checksum"] = checksum(json.loads(json.dumps(found)))  # as it will be read
    store("speed", found, start)


if __name__ == "__main__":
    main()
