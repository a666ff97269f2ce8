"""Models and `fit`, in each framework."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from saebook import KL, L1, SAEConfig, TopK, TrainConfig, metrics, mnist, parity, reference
from saebook.corruption import GaussianNoise
from saebook.start import epoch_order, init_params, noise_generator

CONFIG = SAEConfig(12, 8, sparsity=KL(rho=0.1, beta=0.1))
SHORT = TrainConfig(epochs=3, batch_size=32, learning_rate=1e-2)
RELU = SAEConfig(12, 8, activation="relu", output="linear", sparsity=L1(0.01), unit_norm=True)


@pytest.fixture
def x():
    return parity.samples().astype(np.float32)


def test_history_has_one_value_per_epoch_of_everything(framework, x):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    history = framework.fit(model, x[:80], SHORT, x_val=x[80:])
    train = {"reconstruction", "sparsity", "weight_decay", "loss", "l0", "dead"}
    assert set(history) == train | {f"val_{name}" for name in train} | {"val_fvu"}
    assert all(len(values) == SHORT.epochs for values in history.values())
    assert history["val_loss"][-1] < history["val_loss"][0]
    total = np.add(np.add(history["reconstruction"], history["sparsity"]), history["weight_decay"])
    np.testing.assert_allclose(history["loss"], total, rtol=1e-6)


def test_validation_figures_are_those_of_the_trained_model(framework, x):
    model = framework.SparseAutoencoder(RELU, device="cpu")
    history = framework.fit(model, x[:80], SHORT, x_val=x[80:])
    z, x_hat = framework.encode(model, x[80:]), framework.reconstruct(model, x[80:])
    last = {name: values[-1] for name, values in history.items()}
    error = metrics.reconstruction_error(x[80:], x_hat).mean()
    assert last["val_reconstruction"] == pytest.approx(error, rel=1e-5)
    assert last["val_fvu"] == pytest.approx(metrics.fvu(x[80:], x_hat), rel=1e-5)
    assert last["val_l0"] == pytest.approx(metrics.l0(z))
    assert last["val_dead"] == metrics.dead_features(z).sum()
    assert last["val_sparsity"] == pytest.approx(0.01 * np.abs(z).sum(axis=1).mean(), rel=1e-5)


def test_training_figures_are_means_over_the_epochs_batches(framework, x):
    """With a learning rate too small to move anything, they are the initial model's."""
    model = framework.SparseAutoencoder(RELU, dtype="float64", device="cpu")
    params, x = model.to_numpy(), x.astype(float)
    train = TrainConfig(epochs=3, batch_size=32, learning_rate=1e-30, init="given")
    history = framework.fit(model, x, train)
    expected = reference.loss_terms(RELU, params, x)
    for name in ("reconstruction", "sparsity", "loss"):
        assert history[name] == [pytest.approx(expected[name], rel=1e-12)] * 3
    z = reference.encode(RELU, params, x)
    assert history["l0"] == [pytest.approx(metrics.l0(z))] * 3
    assert history["dead"] == [metrics.dead_features(z).sum()] * 3


def test_every_epoch_counts_its_own_dead_latents(framework, x):
    """A penalty that silences all latents: those that fired in the first epoch are dead later."""
    config = dataclasses.replace(RELU, sparsity=L1(100.0))
    model = framework.SparseAutoencoder(config, device="cpu")
    dead = framework.fit(model, x, TrainConfig(epochs=20, batch_size=32, learning_rate=0.1))["dead"]
    assert dead[0] < 8
    assert dead[-1] == 8


def test_kl_takes_its_mean_over_the_batch_and_batches_count_by_their_rows(framework, x):
    """Batches of 34, 33 and 33: their penalties' mean weighted by size, not the whole set's."""
    model = framework.SparseAutoencoder(CONFIG, dtype="float64", device="cpu")
    params, x = model.to_numpy(), x.astype(float)
    history = framework.fit(model, x, TrainConfig(epochs=1, batch_size=40, learning_rate=1e-30))
    order = epoch_order(100, 0, 0)
    z = reference.encode(CONFIG, params, x[order])
    parts = [reference.penalty(CONFIG.sparsity, part) for part in (z[:34], z[34:67], z[67:])]
    expected = np.average(parts, weights=[0.34, 0.33, 0.33])
    assert history["sparsity"] == [pytest.approx(expected, rel=1e-12)]
    assert history["sparsity"][0] != pytest.approx(reference.penalty(CONFIG.sparsity, z), rel=1e-6)


@pytest.mark.parametrize("n_samples", [257, 258])
def test_a_sample_too_many_does_no_harm(framework, n_samples):
    """The last batch would have been of one row, or two; the seeds' own spread is below 0.02."""
    digits = mnist()

    def trained(n, seed):
        config = SAEConfig(784, 32, "relu", "linear")
        model = framework.SparseAutoencoder(config, seed, device="cpu")
        training = TrainConfig(epochs=40, batch_size=64, learning_rate=3e-3, seed=seed)
        framework.fit(model, digits.x_train[:n], training)
        return framework.evaluate(model, digits.x_val[:500])["fvu"]

    even, odd = (np.mean([trained(n, seed) for seed in range(3)]) for n in (256, n_samples))
    assert odd < even + 0.02


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(framework, x):
    def train(model_seed, order_seed):
        model = framework.SparseAutoencoder(CONFIG, seed=model_seed, device="cpu")
        framework.fit(model, x, dataclasses.replace(SHORT, seed=order_seed))
        return model.to_numpy()["W_enc"]

    np.testing.assert_array_equal(train(1, 2), train(1, 2))
    assert not np.allclose(train(1, 2), train(3, 2))
    assert not np.array_equal(train(1, 2), train(1, 3))


@pytest.mark.parametrize("tied", [False, True])
def test_the_dictionary_has_unit_rows_after_training(framework, x, tied):
    config = dataclasses.replace(RELU, tied=tied)
    model = framework.SparseAutoencoder(config, device="cpu")
    framework.fit(model, x, SHORT)
    norms = np.linalg.norm(reference.dictionary(config, model.to_numpy()), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)


def test_training_says_nothing():
    """Neither framework warns of what fit does, however often it is called."""
    code = """
import numpy as np
from saebook import KL, L1, SAEConfig, TrainConfig
x = np.random.default_rng(0).random((20, 6)) ** 2  # uniform noise lies far from 0
for name in ("pytorch", "tensorflow"):
    package = __import__("saebook." + name, fromlist=["fit"])
    for kind in (None, KL(), L1(), None, KL(), L1()):
        package.fit(package.SparseAutoencoder(SAEConfig(6, 3, sparsity=kind)), x, TrainConfig(2), x)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_torch_model_can_be_copied_and_pickled():
    import copy
    import pickle

    from saebook.pytorch import SparseAutoencoder

    model = SparseAutoencoder(CONFIG, device="cpu")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.to_numpy()["W_enc"], model.to_numpy()["W_enc"])


def test_tied_models_have_one_weight_matrix(framework):
    model = framework.SparseAutoencoder(SAEConfig(5, 3, tied=True), device="cpu")
    assert list(model.to_numpy()) == ["W_enc", "b_enc", "b_dec"]
    assert tuple(model.dictionary.shape) == (3, 5)


def test_parameters_go_out_and_come_back(framework, x):
    model = framework.SparseAutoencoder(CONFIG, seed=1, device="cpu")
    params = model.to_numpy()
    other = framework.SparseAutoencoder(CONFIG, seed=2, device="cpu").from_numpy(params)
    np.testing.assert_array_equal(framework.encode(model, x), framework.encode(other, x))
    framework.fit(model, x, SHORT)
    assert not np.allclose(params["W_enc"], model.to_numpy()["W_enc"])  # params is a copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_dec": None}, "must have the keys"),
        ({"extra": np.zeros(3)}, "must have the keys"),
        ({"b_enc": np.zeros(7)}, r"params\['b_enc'\] must have shape \(8,\), got \(7,\)"),
        ({"b_dec": np.full(12, np.nan)}, r"params\['b_dec'\] must be finite"),
    ],
)
def test_wrong_parameters_are_refused(framework, change, message):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    params = {k: v for k, v in {**model.to_numpy(), **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        model.from_numpy(params)


def test_encode_and_reconstruct_do_not_depend_on_the_batch_size(framework, x):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    for function in (framework.encode, framework.reconstruct):
        whole, parts = function(model, x), function(model, x, batch_size=7)
        assert isinstance(whole, np.ndarray)
        np.testing.assert_allclose(whole, parts, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None, True])
def test_a_wrong_batch_size_is_refused(framework, x, batch_size):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    for function in (framework.encode, framework.reconstruct):
        with pytest.raises(ValueError, match="batch_size must be an integer of at least 1, got"):
            function(model, x, batch_size=batch_size)


@pytest.mark.parametrize("spelling", ["CPU", "/cpu:0", "/CPU:0", "cpu"])
def test_tensorflows_own_names_of_devices_are_understood(spelling):
    from saebook.tensorflow import SparseAutoencoder

    assert SparseAutoencoder(CONFIG, device=spelling).device == "cpu:0"


WRONG_SAMPLES = [
    (np.ones((4, 12), dtype=np.uint8), "8-bit pixels from 0 to 255, got uint8 of at most 1"),
    (np.zeros((4, 12), dtype=np.int16), "floating-point numbers, got int16; divide"),
    (np.zeros((4, 12), dtype=bool), "floating-point numbers, got bool"),
    (np.zeros((4, 12), dtype=complex), "real numbers, got an array of complex128"),
    (np.array([["a"] * 12]), "real numbers"),
    (np.zeros((4, 11)), r"shape \(n_samples, 12\) to suit the model, got \(4, 11\)"),
    (np.zeros(12), r"shape \(n_samples, 12\) to suit the model, got \(12,\)"),
    (np.zeros((2, 3, 5)), r"shape \(n_samples, 12\)"),
    (np.zeros((0, 12)), "at least one sample"),
    (np.full((4, 12), np.nan), r"finite, got NaN or infinity in 4 sample\(s\)"),
    (np.full((4, 12), np.inf), "finite, got NaN or infinity"),
    (np.full((4, 12), 1e300), "finite, got NaN or infinity"),  # infinite in float32
    (None, "real numbers"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG_SAMPLES, ids=[m for _, m in WRONG_SAMPLES])
def test_wrong_samples_are_refused_everywhere(framework, x, wrong, message):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    before = model.to_numpy()
    for call in (
        lambda: framework.fit(model, wrong),
        lambda: framework.encode(model, wrong),
        lambda: framework.reconstruct(model, wrong),
    ):
        with pytest.raises(ValueError, match="x must .*" + message):
            call()
    if wrong is not None:
        with pytest.raises(ValueError, match="x_val must .*" + message):
            framework.fit(model, x, SHORT, x_val=wrong)
    np.testing.assert_array_equal(before["W_enc"], model.to_numpy()["W_enc"])


def test_validation_needs_two_different_samples(framework, x):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    for equal in (x[:1], x[[0, 0, 0]]):
        with pytest.raises(ValueError, match="x_val must hold at least two different samples, got"):
            framework.fit(model, x, SHORT, x_val=equal)


def test_bce_refuses_data_outside_0_and_1(framework, x):
    model = framework.SparseAutoencoder(SAEConfig(12, 8, reconstruction="bce"), device="cpu")
    with pytest.raises(
        ValueError, match=r"x must lie in \[0, 1\] .* 'bce', got values from 0 to 1.5"
    ):
        framework.fit(model, np.clip(3 * x - 1, 0, 1.5))


def test_a_wrong_width_is_named_in_the_users_own_loop_too(framework, tensor):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    with pytest.raises(ValueError, match=r"x must have shape \(n_samples, 12\).* got \(2, 5\)"):
        model.encode(tensor(np.zeros((2, 5), dtype=np.float32)))
    with pytest.raises(ValueError, match=r"z must have shape \(n_samples, 8\).* got \(2, 5\)"):
        model.decode(tensor(np.zeros((2, 5), dtype=np.float32)))


@pytest.mark.parametrize("dtype", ["float16", "int32", None, np.float32])
def test_another_dtype_is_refused(framework, dtype):
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64', got"):
        framework.SparseAutoencoder(CONFIG, dtype=dtype)


@pytest.mark.parametrize("device", ["cuda:99", "gpu:99", "tpu", "", 3, None])
def test_an_absent_device_is_refused(framework, device):
    with pytest.raises(ValueError, match=r"device must be .*cpu.*, got|device must be below"):
        framework.SparseAutoencoder(CONFIG, device=device)


def test_a_penalty_nobody_has_written_is_named():
    with pytest.raises(TypeError, match="sparsity must be a kind of sparsity or None, got 'L2'"):
        reference.penalty("L2", np.zeros((2, 3)))


@pytest.mark.parametrize("validate", [False, True])
def test_training_that_explodes_is_reported(framework, x, validate):
    config = SAEConfig(12, 8, activation="linear", output="linear")
    model = framework.SparseAutoencoder(config, device="cpu")
    with pytest.raises(FloatingPointError, match="finite in epoch 1; try a smaller learning_rate"):
        framework.fit(
            model, x, TrainConfig(batch_size=10, learning_rate=1e30), x if validate else None
        )


def test_mixed_precision_stays_near_and_leaves_the_model_as_it_was(framework, x):
    plain = framework.SparseAutoencoder(CONFIG, device="cpu")
    mixed = framework.SparseAutoencoder(CONFIG, device="cpu")
    expected = framework.fit(plain, x, SHORT)["loss"]
    found = framework.fit(mixed, x, dataclasses.replace(SHORT, mixed_precision=True))["loss"]
    np.testing.assert_allclose(found, expected, rtol=2e-2)
    assert found != expected  # the products did run in bfloat16
    assert mixed.product_dtype is None
    assert mixed.to_numpy()["W_enc"].dtype == np.float32


def test_mixed_precision_is_refused_for_float64(framework, x):
    model = framework.SparseAutoencoder(CONFIG, dtype="float64", device="cpu")
    with pytest.raises(ValueError, match=r"mixed_precision needs .* float32, got float64"):
        framework.fit(model, x, TrainConfig(mixed_precision=True))


@pytest.mark.parametrize("progress", [True, False, None])
def test_the_progress_bar_is_for_people(framework, x, progress, capsys):
    framework.fit(framework.SparseAutoencoder(CONFIG, device="cpu"), x, SHORT, progress=progress)
    assert ("3/3" in capsys.readouterr().err) is (progress is True)


def test_the_torch_model_works_in_the_users_own_loop(x):
    import torch

    from saebook.pytorch import SparseAutoencoder, loss_terms

    model = SparseAutoencoder(CONFIG, device="cpu")
    assert isinstance(model, torch.nn.Module)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batch = torch.as_tensor(x)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = loss_terms(model, batch)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert model(batch).shape == batch.shape
    other = SparseAutoencoder(CONFIG, seed=9, device="cpu")
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(batch), model(batch))


def test_the_keras_model_works_in_the_users_own_loop(x):
    import keras

    from saebook.tensorflow import SparseAutoencoder

    model = SparseAutoencoder(CONFIG, device="cpu")
    assert isinstance(model, keras.Model)
    assert len(model.trainable_variables) == 4
    model.compile(optimizer="sgd", loss="mse")  # Keras's own loop, with Keras's own loss
    history = model.fit(x, x, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert model(x).shape == x.shape
    assert model.count_params() == 12 * 8 * 2 + 8 + 12


def test_global_random_state_is_not_touched(framework, x):
    import random

    import tensorflow as tf
    import torch

    np.random.seed(0)  # noqa: NPY002
    tf.random.set_seed(0)

    def states():
        return (
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
        )

    before = states()
    framework.fit(framework.SparseAutoencoder(CONFIG, device="cpu"), x, SHORT)
    assert states() == before
    drawn = tf.random.uniform([3]).numpy()
    tf.random.set_seed(0)
    np.testing.assert_array_equal(drawn, tf.random.uniform([3]).numpy())


@pytest.mark.parametrize("kind", [None, KL(rho=0.1, beta=0.5), TopK(2)], ids=str)
def test_denoising_trains_as_the_reference_does(framework, x, kind):
    """Fresh noise for every batch, the clean batch as the target, the same in all three."""
    activation = "linear" if isinstance(kind, TopK) else "sigmoid"
    config = dataclasses.replace(CONFIG, sparsity=kind, activation=activation)
    x, corruption = x.astype(float), GaussianNoise(0.05, clip=False)
    start, train = parity.start(config), dataclasses.replace(SHORT, learning_rate=1e-3)
    model = framework.SparseAutoencoder(config, dtype="float64", device="cpu").from_numpy(start)
    history = framework.fit(model, x, train, x_val=x, corruption=corruption)
    expected = reference.fit(config, start, x, train, corruption)
    for name, value in model.to_numpy().items():
        assert parity.relative_difference(value, expected[name]) < 1e-12, name
    noisy = corruption(x, noise_generator(train.seed))
    terms = reference.loss_terms(config, expected, x, noisy)
    assert history["val_loss"][-1] == pytest.approx(terms["loss"], rel=1e-12)


def test_a_corruption_sees_clean_samples_in_new_noise(framework, x):
    """Every epoch goes through all samples once, with other numbers from the generator."""
    seen, drawn = [], []

    def spy(batch, rng):
        seen.append(batch.copy())
        drawn.append(rng.random())
        return batch

    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    framework.fit(model, x, TrainConfig(epochs=2, batch_size=30), corruption=spy)
    assert len(set(drawn)) == len(drawn) == 8
    for epoch in (seen[:4], seen[4:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch), axis=0), np.sort(x, axis=0))


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        (lambda x, rng: x[:, :3], r"shape of the clean samples, \(50, 12\), got .*\(50, 3\)"),
        (lambda x, rng: x * np.nan, "result of corruption must be finite"),
        (lambda x, rng: (x > 0.5).astype(int), "must hold floating-point numbers"),
        (lambda x, rng: None, "must hold floating-point numbers"),
    ],
)
def test_a_wrong_corruption_is_refused(framework, x, corruption, message):
    model = framework.SparseAutoencoder(CONFIG, device="cpu")
    with pytest.raises(ValueError, match=message):
        framework.fit(model, x, TrainConfig(batch_size=64), corruption=corruption)


def test_topk_codes_have_k_entries_and_of_equals_the_first(framework):
    """Equal columns of the encoder tie exactly; a framework's own top-k takes any of them."""
    config = SAEConfig(6, 40, activation="linear", sparsity=TopK(5))
    params = init_params(config)
    params["W_enc"][:] = params["W_enc"][:, :1]
    model = framework.SparseAutoencoder(config, device="cpu").from_numpy(params)
    z = framework.encode(model, np.random.default_rng(0).random((7, 6)))
    np.testing.assert_array_equal(np.flatnonzero(z.any(axis=0)), np.arange(5))
    assert (z[:, :5] != 0).all()


def test_adams_first_step_is_the_learning_rate(framework, x):
    """g / |g|, whatever g: betas rounded otherwise than the kernel rounds them are 5e-6 off."""
    model = framework.SparseAutoencoder(SAEConfig(12, 8, "relu", "linear"), device="cpu")
    before = model.to_numpy()
    gradients = reference.gradients(model.config, before, x.astype(float))
    training = TrainConfig(1, len(x), learning_rate=1024.0, epsilon=1e-30, init="given")
    framework.fit(model, x, training)
    for name, value in model.to_numpy().items():
        far = np.abs(gradients[name]) > 1e-3
        moved = np.abs(value.astype(float) - before[name])[far]
        np.testing.assert_allclose(moved, 1024, rtol=2e-6)


def test_evaluate_measures_against_the_clean_samples(framework, x):
    model = framework.SparseAutoencoder(CONFIG, dtype="float64", device="cpu")
    clean, noisy = x.astype(float), 1 - x.astype(float)
    params = model.to_numpy()
    x_hat = reference.decode(CONFIG, params, reference.encode(CONFIG, params, noisy))
    error = metrics.reconstruction_error(clean, x_hat).mean()
    found = framework.evaluate(model, clean, noisy)
    assert found["reconstruction"] == pytest.approx(error, rel=1e-12)
    assert found["fvu"] == pytest.approx(metrics.fvu(clean, x_hat), rel=1e-12)
