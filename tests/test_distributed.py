"""One training by two processes, against the same training by one."""

import json
import os
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from saebook import KL, SAEConfig, TrainConfig, parity, reference
from saebook.batches import Batches, Shards
from saebook.start import epoch_order
from tests.conftest import FRAMEWORKS
from tests.distributed import worker

WORKER = Path(worker.__file__)
ALLOWED = {"float32": 1e-5, "float64": 1e-12}


def environment(**more):
    """For processes of one thread each that see no GPU."""
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    path = os.pathsep.join([str(WORKER.parents[2]), os.environ.get("PYTHONPATH", "")])
    one = dict.fromkeys(threads, "1") | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path}
    return {**os.environ, **one, **more}


def torchrun(task, folder, *options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", *options]
    command += ["--nproc-per-node", "2", WORKER, "pytorch", task, folder]
    # Or processes that are started again may be told the addresses of those before them
    # (pytorch/pytorch#135712).
    env = environment(TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def free_ports(n):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def two_workers(task, folder):
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    processes, logs = [], [folder / f"{task}-{index}.log" for index in range(2)]
    for index, log in enumerate(logs):
        place = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        command = [sys.executable, WORKER, "tensorflow", task, folder]
        env = environment(TF_CONFIG=json.dumps(place))
        with log.open("w") as file:
            processes.append(subprocess.Popen(command, env=env, stdout=file, stderr=file))
    try:
        for process, log in zip(processes, logs, strict=True):
            assert process.wait(timeout=300) == 0, log.read_text()[-3000:]
    finally:
        for process in processes:
            process.kill()


def run(framework, task, folder):
    """What both processes ended with: a dict of ``case/name`` to array for each."""
    if framework == "pytorch":
        result = torchrun(task, folder)
        assert result.returncode == 0, result.stderr[-3000:]
    else:
        two_workers(task, folder)
    return [dict(np.load(folder / f"{framework}-{task}-{rank}.npz")) for rank in range(2)]


def of(found, case):
    names = [key for key in found if key.startswith(f"{case}/")]
    return {name.removeprefix(f"{case}/"): found[name] for name in names}


def assert_same(found, expected, allowed, case):
    assert list(found) == list(expected)
    for name, value in expected.items():
        if name.startswith("history"):
            np.testing.assert_allclose(
                found[name], value, rtol=10 * allowed, atol=allowed, err_msg=f"{case}: {name}"
            )
        else:
            assert parity.relative_difference(found[name], value) <= allowed, (case, name)


# Processes take seconds to start, so one start serves many checks: each test would need its own.


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_two_processes_end_with_the_weights_of_one(name, tmp_path):
    first, second = run(name, "kinds", tmp_path)
    for key, value in first.items():
        np.testing.assert_array_equal(second[key], value, err_msg=key)
    for kind in worker.KINDS:
        for dtype, allowed in ALLOWED.items():
            case = f"{kind}, {dtype}"
            assert_same(of(second, case), worker.train(name, kind, dtype), allowed, case)


def test_every_kind_is_there():
    sparsities = {type(config.sparsity) for config in worker.KINDS.values()}
    assert sparsities == {type(config.sparsity) for config in parity.configs()}


def batch_mask(a, k):
    return reference.largest(a.reshape(1, -1), k * len(a)).reshape(a.shape)


REFUSALS = {
    "train_config": "train_config must be the same in every process",
    "x": "x must be the same in every process",
    "weights": "model (weights) must be the same in every process",
    "rows": "every batch must have a row for each of 2 processes, got one of 1",
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_data_checkpoints_ties_and_refusals(name, tmp_path):
    for number, part in enumerate(np.split(parity.samples(), [20, 75])):
        np.save(tmp_path / f"part{number}.npy", part)
    found = run(name, "data", tmp_path)

    ways = worker.given(parity.samples(), sorted(tmp_path.glob("part*.npy")))
    for way, options in [*ways.items(), ("checkpoint", {})]:
        assert_same(of(found[1], way), worker.train(name, "KL", **options), 1e-12, way)

    for case, a in enumerate(worker.tied()):
        for k in (1, 2, 4):  # of equal numbers in the whole batch the first goes first
            parts = [of(process, "ties")[f"{case}, {k}"] for process in found]
            np.testing.assert_array_equal(np.concatenate(parts), batch_mask(a, k))

    for process in found:
        for case, sentence in REFUSALS.items():
            assert str(of(process, "errors")[case]).startswith(sentence), case


AGREED = {  # the same sentence in both, or that of the first process and of the second
    "uneven": ["x must give equally many batches in every process, got 2 in some and more"] * 2,
    "divided": ["x must give the same batches in every process, each of which takes its share"] * 2,
    "lists": ["x must be the same in every process"] * 2,
    "fails": ["the disk is full", "training ends, because process 0 failed."],
    "width": ["training ends, because process 1 failed.", "x must have shape (n_samples, 12)"],
    "row": ["training ends, because process 1 failed.", "x must be finite, got NaN or infinity in"],
    "stops": ["no error"] * 2,
    "again": ["no error"] * 2,
}


def test_the_broken_row_is_in_the_second_share():
    """Or `AGREED` would name the wrong process."""
    place = np.flatnonzero(epoch_order(100, worker.TRAINING.seed, 0) == 0)[0]
    assert (place % 25 >= 25 // 2) == (  # four batches of 25: the fewest of at most 31
        AGREED["row"][0] == "training ends, because process 1 failed."
    )


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_processes_agree_before_anyone_waits(name, tmp_path):
    found = run(name, "agree", tmp_path)
    for rank, process in enumerate(found):
        for case, sentences in AGREED.items():
            said = str(of(process, "agree")[case])
            assert said.startswith(sentences[rank]), (rank, case, said)
        # one said stop after the third epoch; taken up again, there was nothing left to do
        assert of(process, "agree")["epochs"].tolist() == [1, 2, 3]


def test_killed_and_restarted_it_ends_at_the_same_weights(tmp_path):
    ends = {}
    for life in ("calm", "killed"):
        folder = tmp_path / life
        folder.mkdir()
        if life == "killed":
            (folder / "kill").touch()
        result = torchrun("kill", folder, "--max-restarts", "1", "--monitor-interval", "0.1")
        assert result.returncode == 0, result.stderr[-3000:]
        assert ("SIGKILL" in result.stderr or "-9" in result.stderr) == (life == "killed")
        ends[life] = dict(np.load(folder / "pytorch-kill-0.npz"))
    epochs = ends["calm"].pop("end/epochs").tolist(), ends["killed"].pop("end/epochs").tolist()
    assert epochs == ([1, 2, 3, 4, 5, 6], [4, 5, 6])
    for name, value in ends["calm"].items():
        np.testing.assert_array_equal(ends["killed"][name], value)


# What one process can show


def test_shares_add_up_to_the_batch():
    config, training = SAEConfig(12, 8, sparsity=KL()), TrainConfig(epochs=1, batch_size=31)
    x = parity.samples()
    whole = list(Batches(config, x, "float64", training).epoch(0))
    shares = [list(Batches(config, x, "float64", training, None, r, 3).epoch(0)) for r in range(3)]
    for (batch,), *parts in zip(whole, *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate([part for (part,) in parts]), batch)
        sizes = [len(part) for (part,) in parts]
        assert max(sizes) - min(sizes) <= 1


def test_a_streamed_batch_with_too_few_rows_is_refused():
    batches = Batches(
        SAEConfig(12, 8), [parity.samples()[:1]], "float64", TrainConfig(epochs=1), None, 0, 2
    )
    with pytest.raises(ValueError, match="every batch must have a row for each of 2 processes"):
        list(batches.epoch(0))


def test_shards_are_one_array(tmp_path):
    x, rows = parity.samples(), np.random.default_rng(0).permutation(100)
    for number, part in enumerate(np.split(x, [10, 10, 64])):  # one of them is empty
        np.save(tmp_path / f"{number}.npy", part)
    shards = Shards(sorted(tmp_path.iterdir()))
    assert shards.shape == x.shape
    assert len(shards) == 100
    np.testing.assert_array_equal(shards[rows], x[rows])
    np.testing.assert_array_equal(np.asarray(shards, np.float32), x.astype(np.float32))
    for wrong in ([], [x, x[:, :3]], [x, x.astype(np.float32)], [x[0]]):
        with pytest.raises(ValueError, match="parts must be arrays"):
            Shards(wrong)


def test_each_process_reads_only_its_own_rows(monkeypatch):
    read, original = [], Shards.__getitem__

    def noted(self, rows):
        read.append(rows)
        return original(self, rows)

    monkeypatch.setattr(Shards, "__getitem__", noted)
    config, training = SAEConfig(12, 8), TrainConfig(epochs=1, batch_size=31)
    for rank in range(2):
        shards = Shards([parity.samples()])
        list(Batches(config, shards, "float64", training, None, rank, 2).epoch(0))
    np.testing.assert_array_equal(np.sort(np.concatenate(read)), np.arange(100))


def test_shards_train_as_the_array_does(framework, tmp_path):
    name = framework.__name__.removeprefix("saebook.")
    parts = np.split(parity.samples(), [20, 75])
    assert_same(worker.train(name, "KL", x=Shards(parts)), worker.train(name, "KL"), 0.0, name)


def test_a_strategy_of_several_devices_in_a_process_is_refused(monkeypatch):
    tf = import_module("tensorflow")
    distributed = import_module("saebook.tensorflow.distributed")
    strategy = SimpleNamespace(extended=SimpleNamespace(worker_devices=("GPU:0", "GPU:1")))
    monkeypatch.setattr(tf.distribute, "has_strategy", lambda: True)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    with pytest.raises(ValueError, match="the strategy must have one device in each process"):
        distributed.world_size()


def test_the_mean_of_kls_is_not_the_kl_of_the_mean():
    """The mistake that `batch_mean` is there against, in NumPy."""
    z = np.array([[0.1, 0.1], [0.1, 0.9]])
    kl = KL(rho=0.5, beta=1.0)
    whole = reference.penalty(kl, z)
    shares = np.mean([reference.penalty(kl, z[:1]), reference.penalty(kl, z[1:])])
    assert shares > 1.5 * whole
