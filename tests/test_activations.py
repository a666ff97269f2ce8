"""Activations of another network on disk, whole or cut off and taken up."""

import json
from importlib import import_module

import numpy as np
import pytest

from saebook import SAEConfig, TopK, TrainConfig
from saebook.activations import RECORD, store_activations

RNG = np.random.default_rng(0)
BATCHES = [RNG.normal(size=(n, 4, 6)).astype(np.float32) for n in (3, 5, 2, 4)]  # sequences
ROWS = np.concatenate(BATCHES).reshape(-1, 6)


def same(batch):
    return batch


def test_rows_come_back_in_their_order_from_files_of_whole_batches(tmp_path):
    shards = store_activations(tmp_path / "new", BATCHES, same, rows_per_file=20)
    assert shards.shape == ROWS.shape
    np.testing.assert_array_equal(shards[np.arange(len(ROWS))], ROWS)
    record = json.loads((tmp_path / "new" / RECORD).read_text())
    assert [(part["rows"], part["batches"]) for part in record["files"]] == [(32, 2), (24, 4)]
    half = store_activations(tmp_path / "half", BATCHES, same, dtype="float16")
    np.testing.assert_allclose(half[np.arange(56)], ROWS, rtol=1e-3, atol=1e-3)
    assert half.dtype == np.float16


@pytest.mark.parametrize("fails_at", range(1, 4))
def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same_files(fails_at, tmp_path):
    def breaks(batch):
        if batch is BATCHES[fails_at]:
            raise KeyboardInterrupt
        return batch

    whole = store_activations(tmp_path / "whole", BATCHES, same, rows_per_file=1)
    with pytest.raises(KeyboardInterrupt):
        store_activations(tmp_path / "cut", BATCHES, breaks, rows_per_file=1)
    seen = []
    cut = store_activations(
        tmp_path / "cut",
        BATCHES,
        lambda batch: (seen.append(len(batch)), batch)[1],
        rows_per_file=1,
    )
    assert seen == [3, *(len(batch) for batch in BATCHES[fails_at:])]  # the first, to compare
    np.testing.assert_array_equal(cut[np.arange(56)], whole[np.arange(56)])
    for name in sorted(path.name for path in (tmp_path / "whole").iterdir()):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_batches_may_be_added_later(tmp_path):
    store_activations(tmp_path, BATCHES[:3], same)
    seen = []
    shards = store_activations(tmp_path, BATCHES, lambda b: (seen.append(len(b)), b)[1])
    assert seen == [3, 4]
    np.testing.assert_array_equal(shards[np.arange(56)], ROWS)


def test_what_belongs_to_another_run_is_refused_and_stays(tmp_path):
    store_activations(tmp_path, BATCHES, same)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for wrong, batches, read, options in (
        ("the first batch does not give the first rows", BATCHES, lambda b: 2 * b, {}),
        ("the first batch does not give the first rows", BATCHES[::-1], same, {}),
        ("got 2 where .* has 4", BATCHES[:2], same, {}),
        ("dtype must be that of the files", BATCHES, same, {"dtype": "float16"}),
        (r"shape \(n_rows, 6\) or .*got \(3, 4, 5\)", BATCHES, lambda b: b[..., :5], {}),
    ):
        with pytest.raises(ValueError, match=wrong):
            store_activations(tmp_path, batches, read, **options)
        assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "part-00000.npy").unlink()
    with pytest.raises(ValueError, match=r"must be complete, but part-00000.npy in .* is not"):
        store_activations(tmp_path, BATCHES, same)


def test_a_folder_of_somebody_elses_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"folder must be empty .* with 'thesis.txt' and no"):
        store_activations(tmp_path, BATCHES, same)
    (tmp_path / RECORD).write_text('{"format": "another"}')
    with pytest.raises(ValueError, match="from a run of this version"):
        store_activations(tmp_path, BATCHES, same)
    (tmp_path / RECORD).write_text(
        json.dumps({"format": "saebook.activations", "version": 1, "dtype": "float32",
                    "files": [{"name": "../x.npy", "rows": 1, "batches": 1}]})
    )  # fmt: skip
    with pytest.raises(ValueError, match="from a run of this version"):
        store_activations(tmp_path, BATCHES, same)


@pytest.mark.parametrize(
    ("wrong", "read", "options"),
    [
        ("dtype must be one of .*, got 'half'", same, {"dtype": "half"}),
        ("rows_per_file must be an integer of at least 1, got 0", same, {"rows_per_file": 0}),
        ("activations of batch 0 must be finite", lambda b: b * np.nan, {}),
        ("batch 0 must fit into float16, got .*e", lambda b: b * 1e6, {"dtype": "float16"}),
        ("activations of batch 0 must hold floating-point", lambda b: b.astype(int), {}),
        (r"activations of batch 0 must have shape .* got \(72,\)", lambda b: b.ravel(), {}),
        (r"batch 1 must have shape \(n_rows, 6\)", lambda b: b[..., : 9 - len(b)], {}),
    ],
)  # fmt: skip
def test_mistakes_get_one_sentence(wrong, read, options, tmp_path):
    with pytest.raises(ValueError, match=wrong):
        store_activations(tmp_path / "new", BATCHES, read, **options)


def test_no_batches_are_refused(tmp_path):
    with pytest.raises(ValueError, match="batches must give at least one row"):
        store_activations(tmp_path / "new", [], same)


# Layers of networks


def network(framework):
    """Two layers, the name of the first, and its weights."""
    W = RNG.normal(size=(6, 5)).astype(np.float32)
    if framework.__name__.endswith("pytorch"):
        torch = import_module("torch")
        model = torch.nn.Sequential(torch.nn.Linear(6, 5, bias=False), torch.nn.Dropout(0.5))
        model[0].weight.data = torch.as_tensor(W.T.copy())
        return model.train(), "0", W
    keras = import_module("keras")
    model = keras.Sequential(
        [keras.Input((4, 6)), keras.layers.Dense(5, use_bias=False, name="first"),
         keras.layers.Dropout(0.5, name="second")]
    )  # fmt: skip
    model.layers[0].set_weights([W])
    return model, "first", W


def test_a_layer_is_read_and_the_model_left_as_it_was(framework, tensor, tmp_path):
    layer = import_module(f"{framework.__name__}.activations").layer
    model, name, W = network(framework)
    read = layer(model, name)
    for batch in (tensor(BATCHES[0]), [tensor(BATCHES[0])]):
        np.testing.assert_allclose(read(batch), BATCHES[0] @ W, rtol=1e-5, atol=1e-6)
    last = layer(model, {"0": "1", "first": "second"}[name])
    np.testing.assert_allclose(last(tensor(BATCHES[0])), BATCHES[0] @ W, rtol=1e-5, atol=1e-6)
    if framework.__name__.endswith("pytorch"):
        assert model.training
        assert not model[0]._forward_hooks
    shards = store_activations(tmp_path, map(tensor, BATCHES), read)
    model = framework.SparseAutoencoder(SAEConfig(5, 12, sparsity=TopK(2)), device="cpu")
    history = framework.fit(model, shards, TrainConfig(2, 16), progress=False)
    assert np.isfinite(history["loss"]).all()
    with pytest.raises(ValueError, match=f"name must be that of a .*, such as .*{name}.* got"):
        layer(network(framework)[0], f"{name}s")


def test_what_another_hook_put_in_place_of_the_output_is_read(framework):
    if not framework.__name__.endswith("pytorch"):
        pytest.skip("Keras has no hooks")
    torch = import_module("torch")
    model, name, _ = network(framework)
    read = import_module("saebook.pytorch.activations").layer(model, name)
    model[0].register_forward_hook(lambda module, given, output: torch.ones_like(output))
    assert (read(torch.as_tensor(BATCHES[0])) == 1).all()


def test_padding_is_left_out(framework, tensor):
    layer = import_module(f"{framework.__name__}.activations").layer
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    if framework.__name__.endswith("pytorch"):
        torch = import_module("torch")

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = torch.nn.Identity()

            def forward(self, x, attention_mask):
                return self.inner(x) * attention_mask[..., None]

        model, name = Model(), "inner"
    else:
        keras = import_module("keras")
        x, m = (
            keras.Input((4, 6), name="x"),
            keras.Input((4,), name="attention_mask", dtype="int32"),
        )
        model = keras.Model({"x": x, "attention_mask": m}, keras.layers.ReLU(name="inner")(x) * 1.0)
        name = "x"
    read = layer(model, name)
    found = read({"x": tensor(BATCHES[0]), "attention_mask": tensor(mask)})
    np.testing.assert_array_equal(found, BATCHES[0][mask.astype(bool)])
