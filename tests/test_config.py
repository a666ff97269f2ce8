"""Every wrong setting is refused when the object is made, in one sentence that tells what is."""

import dataclasses

import numpy as np
import pytest

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
)
from saebook.corruption import GaussianNoise, Masking, SaltAndPepper
from saebook.kinds import KINDS, Sparsity

NAN, INF = float("nan"), float("inf")
# The class, its field, what is allowed there, and values that are not.
REFUSED = [
    (KL, "rho", "a number strictly between 0 and 1", [0, 1, -0.1, 2, NAN, "0.1", None, True]),
    (KL, "beta", "a finite number of at least 0", [-1, NAN, INF, "1", None]),
    (L1, "weight", "a finite number of at least 0", [-1e-9, NAN, INF, "1", [1]]),
    (L1, "l0", "a finite number above 0", [0, -1, NAN, "3"]),
    (TopK, "k", "an integer of at least 1", [0, -1, 2.0, "3", None, True]),
    (TopK, "aux", "None or AuxK(k, ...)", [64, AuxK, KL()]),
    (BatchTopK, "k", "an integer of at least 1", [0, 2.0, None, True]),
    (BatchTopK, "aux", "None or AuxK(k, ...)", [64, AuxK]),
    (AuxK, "k", "an integer of at least 1", [0, 2.0, None]),
    (AuxK, "weight", "a finite number of at least 0", [-1, NAN, None]),
    (AuxK, "dead_after", "an integer of at least 1", [0, 1.5, None]),
    (JumpReLU, "weight", "a finite number of at least 0", [-1, INF, None]),
    (JumpReLU, "bandwidth", "None or a finite number above 0", [0, -0.1, NAN, "auto"]),
    (JumpReLU, "threshold", "None or a finite number above 0", [0, -0.1, NAN, "auto"]),
    (JumpReLU, "l0", "a finite number above 0", [0, -1, NAN, "3"]),
    (Gated, "weight", "a finite number of at least 0", [-1, NAN, None]),
    (Gated, "l0", "a finite number above 0", [0, -1, NAN, "3"]),
    (
        GaussianNoise,
        "sigma",
        "a finite number of at least 0, or a rising pair of them, (low, high)",
        [-1, NAN, "1", None, (0.2, 0.1), (0.1,), (0, INF), [0.1, 0.2]],
    ),
    (GaussianNoise, "clip", "True or False", [1, None]),
    (SaltAndPepper, "amount", "a number from 0 to 1", [-0.1, 1.1, NAN, "1", None, True]),
    (Masking, "amount", "a number from 0 to 1", [-0.1, 1.1, NAN, "1", None, True]),
    (SAEConfig, "n_features", "an integer of at least 1", [0, -1, 2.0, "3", None, True]),
    (SAEConfig, "n_latents", "an integer of at least 1", [0, -1, 2.0, "3", None, True]),
    (SAEConfig, "activation", "one of sigmoid, relu, linear", ["tanh", "", None, 1, ["relu"]]),
    (SAEConfig, "output", "one of sigmoid, linear", ["relu", None]),
    (SAEConfig, "reconstruction", "one of squared_error, bce", ["mse", None]),
    (SAEConfig, "tied", "True or False", [1, None, "yes"]),
    (SAEConfig, "unit_norm", "True or False", [0, None]),
    (SAEConfig, "weight_decay", "a finite number of at least 0", [-1, NAN, None, True]),
    (SAEConfig, "pre_bias", "'auto', True or False", [1, None, "yes"]),
    (
        SAEConfig,
        "groups",
        "None or positive integers that add up to n_latents, which is 3",
        [(1, 1), (2, 2), (0, 3), (4, -1), (1.0, 2), (), 3, "12", (True, 2)],
    ),
    (SAEConfig, "sparsity", "None or a kind of sparsity", ["KL", KL, 0.1, Sparsity()]),
    (TrainConfig, "epochs", "an integer of at least 1", [0, 1.5, None, True]),
    (TrainConfig, "batch_size", "an integer of at least 1", [0, 1.5, None]),
    (TrainConfig, "learning_rate", "None or a finite number above 0", [0, -1, NAN, INF, "1e-3"]),
    (TrainConfig, "init", "one of auto, given", [None, "samples", True]),
    (TrainConfig, "epsilon", "a finite number above 0", [0, NAN]),
    (TrainConfig, "beta_1", "a number from 0 to below 1", [1, -0.1, NAN]),
    (TrainConfig, "beta_2", "None or a number from 0 to below 1", [1, -0.1, NAN]),
    (TrainConfig, "seed", "an integer of at least 0", [-1, 0.5, None]),
    (TrainConfig, "warmup_steps", "an integer of at least 0", [-1, 0.5, None]),
    (TrainConfig, "decay_steps", "an integer of at least 0", [-1, 0.5, None]),
    (TrainConfig, "sparsity_warmup_steps", "an integer of at least 0", [-1, 0.5, None]),
    (TrainConfig, "mixed_precision", "True or False", [1, "bf16"]),
]
REQUIRED = {SAEConfig: {"n_features": 4, "n_latents": 3}}


@pytest.mark.parametrize(
    ("options", "activation", "output", "pre_bias"),
    [
        ({}, "sigmoid", "sigmoid", False),
        ({"sparsity": KL()}, "sigmoid", "sigmoid", False),
        ({"sparsity": L1()}, "relu", "linear", True),
        ({"sparsity": TopK(2)}, "relu", "linear", True),
        ({"sparsity": BatchTopK(2)}, "relu", "linear", True),
        ({"sparsity": JumpReLU()}, "relu", "linear", True),
        ({"sparsity": Gated()}, "relu", "linear", True),
        ({"activation": "relu"}, "relu", "sigmoid", False),
        ({"activation": "sigmoid", "sparsity": L1()}, "sigmoid", "sigmoid", False),
        ({"reconstruction": "bce", "sparsity": TopK(2)}, "relu", "sigmoid", False),
        ({"activation": "relu", "output": "linear"}, "relu", "linear", False),
        ({"activation": "linear", "sparsity": TopK(2)}, "linear", "linear", True),
        ({"sparsity": TopK(2), "pre_bias": False}, "relu", "linear", False),
        ({"pre_bias": True}, "sigmoid", "sigmoid", True),
        ({"output": "linear", "sparsity": KL()}, "sigmoid", "linear", False),
    ],
)
def test_what_is_not_given_follows_the_kind(options, activation, output, pre_bias):
    config = SAEConfig(4, 3, **options)
    assert (config.activation, config.output, config.pre_bias) == (activation, output, pre_bias)
    assert dataclasses.replace(config, n_latents=4) == SAEConfig(4, 4, **options)


@pytest.mark.parametrize(
    ("kind", "field", "allowed", "value"),
    [(*row, value) for *row, values in REFUSED for value in values],
)
def test_a_wrong_value_is_refused(kind, field, allowed, value):
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as error:
        kind(**{**REQUIRED.get(kind, {}), field: value})
    assert str(error.value).startswith(f"{kind.__name__}.{field} must be {allowed}")
    assert str(error.value).endswith(f", got {value!r}.")


def test_every_field_has_a_refused_value():
    for kind in {owner for owner, *_ in REFUSED}:
        tested = {field for owner, field, *_ in REFUSED if owner is kind}
        assert tested == {field.name for field in dataclasses.fields(kind)}


def test_topk_needs_latents_enough_and_codes_that_can_be_0():
    with pytest.raises(ValueError, match=r"TopK\.k must be at most n_latents, which is 3, got 4\."):
        SAEConfig(4, 3, activation="relu", sparsity=TopK(4))
    with pytest.raises(ValueError, match=r"SAEConfig\.activation must be 'relu' or 'linear' when"):
        SAEConfig(4, 3, "sigmoid", sparsity=TopK(2))


@pytest.mark.parametrize(
    ("sparsity", "options", "message"),
    [
        (BatchTopK(4), {}, r"BatchTopK\.k must be at most n_latents, which is 3, got 4"),
        (BatchTopK(2), {"activation": "linear"}, r"activation must be 'relu' when .* BatchTopK"),
        (TopK(2, AuxK(4)), {}, r"AuxK\.k must be at most n_latents, which is 3, got 4"),
        (TopK(2, AuxK(2)), {"output": "sigmoid"}, r"output must be 'linear' when aux is AuxK"),
        (JumpReLU(), {"activation": "sigmoid"}, r"activation must be 'relu' when .* JumpReLU"),
        (Gated(), {"activation": "linear"}, r"activation must be 'relu' when .* Gated"),
        (Gated(), {"output": "sigmoid"}, r"output must be 'linear' when .* Gated"),
    ],
)
def test_what_the_modern_kinds_need(sparsity, options, message):
    with pytest.raises(ValueError, match=message):
        SAEConfig(4, 3, sparsity=sparsity, **{"activation": "relu", "output": "linear"} | options)


def test_groups_may_be_a_list_and_are_a_value_all_the_same():
    assert SAEConfig(4, 3, groups=[1, 2]) == SAEConfig(4, 3, groups=(1, 2))
    assert hash(SAEConfig(4, 3, groups=[1, 2])) == hash(SAEConfig(4, 3, groups=(1, 2)))


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_kl_needs_codes_between_0_and_1(activation):
    with pytest.raises(ValueError, match=r"SAEConfig\.activation must be 'sigmoid' when .* KL"):
        SAEConfig(4, 3, activation=activation, sparsity=KL())


def test_bce_needs_a_sigmoid_output():
    with pytest.raises(ValueError, match=r"SAEConfig\.output must be 'sigmoid' when .* 'bce'"):
        SAEConfig(4, 3, output="linear", reconstruction="bce")


@pytest.mark.parametrize(
    "config", [KL(), L1(), SAEConfig(4, 3), SAEConfig(np.int64(4), 3, weight_decay=np.float32(0.5))]
)
def test_settings_are_values(config):
    assert config == dataclasses.replace(config)
    assert hash(config) == hash(dataclasses.replace(config))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(config)[0].name, 1)


def test_a_new_kind_of_sparsity_brings_its_own_check(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Untied(Sparsity):
        def check(self, config):
            if config.tied:
                raise ValueError("SAEConfig.tied must be False.")

    monkeypatch.setitem(KINDS, Untied, ())
    assert SAEConfig(4, 3, sparsity=Untied()).sparsity == Untied()
    with pytest.raises(ValueError, match="must be False"):
        SAEConfig(4, 3, sparsity=Untied(), tied=True)
