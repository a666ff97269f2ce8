"""The parity ledger at its tolerances, and proof that it can fail."""

import dataclasses
import itertools
import os
from importlib import import_module

import numpy as np
import pytest

from saebook import (
    KL,
    L1,
    BatchTopK,
    JumpReLU,
    SAEConfig,
    TopK,
    TrainConfig,
    parity,
    reference,
)
from saebook.kinds import KINDS, Sparsity
from saebook.model import Kind
from tests.conftest import FRAMEWORKS


def group_of(config):
    return type(config.sparsity).__name__, config.activation, config.groups is not None


GROUPS = sorted({group_of(config) for config in parity.configs()})


def pairs_of(config):
    """All choices of two of its options."""
    options = [(f.name, getattr(config, f.name)) for f in dataclasses.fields(config)]
    return set(itertools.combinations(options, 2))


def covering(configs):
    """Some of the configurations that have every pair of options that all of them have."""
    missing, chosen = set().union(*map(pairs_of, configs)), []
    while missing:
        chosen.append(max(configs, key=lambda config: len(pairs_of(config) & missing)))
        missing -= pairs_of(chosen[-1])
    return chosen


# Those that are trained for 500 steps, which is most of the ledger's time. A step is the gradient,
# which is compared for all, and Adam, unit norm and counting, which know few options: every two
# meet here. `make test-all`, and a machine every night, train every configuration.
TRAINED = set(parity.configs() if os.environ.get("SAEBOOK_ALL") else covering(parity.configs()))


@pytest.mark.parametrize("dtype", parity.TOLERANCE)
@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_ledger(name, group, dtype):
    for config in parity.configs():
        if group_of(config) != group:
            continue
        trained = config in TRAINED
        found = parity.compare(name, config, dtype, parity.TRAINING if trained else None)
        assert list(found) == list(parity.QUANTITIES)[: None if trained else -1]
        assert np.all(np.array([*found.values()]) <= parity.TOLERANCE[dtype]), (config, found)


def test_ledger_covers_every_option():
    configs = parity.configs()
    for field in (
        *("activation", "output", "reconstruction", "tied", "unit_norm", "weight_decay"),
        *("pre_bias", "groups"),
    ):
        assert len({getattr(c, field) for c in configs}) == {"activation": 3}.get(field, 2)
    assert {type(c.sparsity) for c in configs} == {type(None), *KINDS}
    assert {c.sparsity for c in configs} == {None, *itertools.chain(*KINDS.values())}
    # 3 outputs and errors, tied or not, unit norm or not, decay or not; for 9 kinds and activations
    assert (
        len(
            [
                c
                for c in configs
                if isinstance(c.sparsity, KL | L1 | None)
                and not c.pre_bias
                and not getattr(c.sparsity, "l0", None)
            ]
        )
        == 168
    )
    # Three decoders, without and with a pre-bias and groups, for each of three kinds with a price.
    assert sum(bool(getattr(c.sparsity, "l0", None)) for c in configs) == 18
    # and with a pre-bias and groups for each decoder every row and activation, which other kinds
    # than the classic ones also have without
    rows = [
        (kind, a) for kind in itertools.chain(*KINDS.values()) for a in parity.activations_of(kind)
    ]
    other = [(kind, a) for kind, a in rows if kind not in parity.CLASSIC]
    assert len(set(configs)) == len(configs) == 216 + 3 * 2 * len(other) + 3 * 3
    assert parity.TRAINING.epochs * -(-parity.N_SAMPLES // parity.TRAINING.batch_size) == 500


@pytest.mark.parametrize("config", parity.configs(), ids=str)
def test_no_preactivation_of_the_ledger_comes_near_a_kink(config):
    """The kinks: 0, and for TopK the pre-activation that is just large enough to be kept."""
    x, params = parity.samples(), parity.start(config)

    def from_kink(params):
        a = reference.preactivation(config, params, x)
        if isinstance(config.sparsity, JumpReLU):
            theta, width = np.exp(params["log_threshold"]), config.sparsity.bandwidth
            return np.concatenate([a - theta, np.abs(a - theta) - width / 2], axis=1)
        if not isinstance(config.sparsity, TopK | BatchTopK):
            return a
        kept = [from_rank(a, config.sparsity.k)]
        if config.sparsity.aux:
            dead = params["silent"] >= config.sparsity.aux.dead_after
            assert dead.sum() == parity.N_LATENTS / 2
            kept.append(from_rank(a[:, dead], config.sparsity.aux.k))
            chosen = kept[1] > 0  # and where they are chosen, they keep clear of 0
            kept.append(np.where(chosen, a[:, dead], 1.0))
        return np.concatenate(kept, axis=1)

    def from_rank(a, k):
        ranked = np.sort(a)
        assert (ranked[:, -1:] > 0.1).all()  # kept ones keep clear of 0 too
        return a - ranked[:, -k - 1 : a.shape[1] - k + 1].mean(axis=1, keepdims=True)

    signs = np.sign(from_kink(params))
    assert (signs > 0).any(axis=0).sum() >= parity.N_LATENTS / 2
    assert (signs < 0).any(axis=0).sum() >= parity.N_LATENTS / 2
    for epochs in (0, 60, 125) if config in TRAINED else (0,):
        part = dataclasses.replace(parity.TRAINING, epochs=max(epochs, 1))
        trained = reference.fit(config, params, x, part) if epochs else params
        distance = from_kink(trained)
        assert np.array_equal(np.sign(distance), signs)
        assert np.abs(distance).min() > 0.1, np.abs(distance).min()


def wrong_axis(package, monkeypatch):
    """KL with the mean taken over latents, sample by sample, as the source program had it."""
    right = package.kinds.KL.penalty
    monkeypatch.setattr(package.kinds.KL, "penalty", lambda self, z: right(self, transpose(z)))


def transpose(z):
    return z.T if hasattr(z, "T") else import_module("tensorflow").transpose(z)


def sum_for_mean(package, monkeypatch):
    """An error summed over samples instead of averaged."""
    model, right = package.SparseAutoencoder, package.loss.mean_error
    monkeypatch.setattr(
        model, "mean_error", lambda self, logits, x: right(self, logits, x) * parity.N_SAMPLES
    )


def exchanged(package, monkeypatch):
    """KL with rho in the place of 1 - rho."""
    kind = package.kinds.KL
    right = kind.penalty

    def wrong(self, z):
        return right(kind(dataclasses.replace(self.sparsity, rho=1 - self.sparsity.rho), None), z)

    monkeypatch.setattr(kind, "penalty", wrong)


def not_a_number(package, monkeypatch):
    """One gradient that is NaN, in a parameter that is not the first."""
    right = package.gradients

    def wrong(model, x):
        found = right(model, x)
        return {**found, "b_dec": np.full_like(found["b_dec"], np.nan)}

    monkeypatch.setattr(package, "gradients", wrong)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_nan_breaks_the_ledger(name, monkeypatch):
    config = SAEConfig(parity.N_FEATURES, parity.N_LATENTS)
    not_a_number(import_module(f"saebook.{name}"), monkeypatch)
    found = parity.compare(name, config, "float64", train_config=None)
    assert not found["gradient"] <= 1


@pytest.mark.parametrize("mutation", [wrong_axis, sum_for_mean, exchanged])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_wrong_loss_breaks_the_ledger(name, mutation, monkeypatch):
    config = SAEConfig(parity.N_FEATURES, parity.N_LATENTS, sparsity=KL(rho=0.1, beta=0.5))
    mutation(import_module(f"saebook.{name}"), monkeypatch)
    found = parity.compare(name, config, "float64", TrainConfig(epochs=2, batch_size=32))
    for quantity in ("loss", "gradient", "weights"):
        assert found[quantity] > 1e-5, (quantity, found)


def test_kerass_own_adam_breaks_the_ledger(monkeypatch):
    import keras

    class KerasAdam:
        def __init__(self, variables, c):
            self.variables = variables
            self.adam = keras.optimizers.Adam(c.learning_rate, c.beta_1, c.beta_2, c.epsilon)
            self.adam.build(variables)

        def step(self, gradients, learning_rate):
            self.adam.apply(gradients, self.variables)

    monkeypatch.setattr("saebook.tensorflow.engine.Adam", KerasAdam)
    # The ledger as it is, in float64: rounding to float32 could hide so small a difference.
    for sparsity in (None, KL(rho=0.1, beta=0.5)):
        config = SAEConfig(parity.N_FEATURES, parity.N_LATENTS, sparsity=sparsity)
        found = parity.compare("tensorflow", config, "float64")
        assert found["gradient"] <= parity.TOLERANCE["float64"]
        assert found["weights"] > 1e4 * parity.TOLERANCE["float64"], found


def test_relative_difference():
    assert parity.relative_difference([0.0, 0.0], [0.0, 0.0]) == 0
    assert parity.relative_difference([3.0, 4.0], [0.0, 4.0]) == 0.75
    with np.errstate(divide="ignore"):
        assert parity.relative_difference([1.0], [0.0]) == np.inf
    assert np.isnan(parity.relative_difference([np.nan, 0.0], [1.0, 1.0]))
    with pytest.raises(ValueError, match=r"shape of b, \(2,\), got \(1,\)"):
        parity.relative_difference([1.0], [1.0, 1.0])


@dataclasses.dataclass(frozen=True)
class Squared(Sparsity):
    """A kind that makes its own code, the square of the pre-activation, and its own penalty."""

    weight: float = 0.1


class SquaredFormula(reference.kinds.Kind):
    def code(self, params, a, training):
        return a**2

    def code_gradient(self, params, a, d_z):
        return {"a": 2 * a * d_z}

    def penalty(self, z):
        return self.sparsity.weight * z.sum(axis=1).mean()

    def penalty_gradient(self, z):
        return np.full_like(z, self.sparsity.weight / len(z))


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_new_kind_joins_without_a_change_to_what_is_there(name, monkeypatch):
    """As CONTRIBUTING tells it: a class on each floor, and a row in the table of kinds."""
    module = import_module({"pytorch": "torch"}.get(name, name))

    class SquaredKind(Kind):
        def code(self, a, training):
            return a**2

        def penalty(self, z):
            total = getattr(module, "reduce_sum", None) or module.sum
            return self.sparsity.weight * total(z) / len(z)

    package = import_module(f"saebook.{name}")
    monkeypatch.setitem(KINDS, Squared, (Squared(),))
    monkeypatch.setitem(reference.model.KINDS, Squared, SquaredFormula)
    monkeypatch.setitem(package.SparseAutoencoder.kinds, Squared, SquaredKind)
    config = SAEConfig(parity.N_FEATURES, parity.N_LATENTS, sparsity=Squared())
    found = parity.compare(name, config, "float64", train_config=None)
    assert max(found.values()) < 1e-12, (name, found)
