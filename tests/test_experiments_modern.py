"""The rule by which a training ends, the stored runs that it ended, and parts of them run again."""

import numpy as np
import pytest

from experiments import _runs
from experiments import modern as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("modern")


def rows_of(stored):
    return [
        (kind, setting, row)
        for kinds in stored["sweep"].values()
        for kind, settings in kinds.items()
        for setting, rows in settings.items()
        for row in rows
    ]


def epochs(fvu, loss=None):
    return [
        {"val_fvu": a, "val_loss": b}
        for a, b in zip(fvu, fvu if loss is None else loss, strict=True)
    ]


def test_a_stage_ends_when_neither_error_nor_loss_falls():
    level = [1.0] * (_runs.PATIENCE + 1)
    assert _runs.is_flat(epochs(level))
    assert not _runs.is_flat(epochs(level[1:]))  # too few epochs to know
    assert _runs.is_flat(epochs([*level[1:], 0.991]))
    assert not _runs.is_flat(epochs([*level[1:], 0.989]))
    assert not _runs.is_flat(epochs(level, [*level[1:], 0.989]))
    assert _runs.is_flat(epochs([1.0, 0.5, *level]))  # the best error counts, not the last


def test_every_stored_run_has_ended_by_the_rule(stored):
    for kind, setting, row in rows_of(stored):
        assert sum(row["epochs"]) == len(row["fvu_by_epoch"])
        for stage in np.split(row["fvu_by_epoch"], np.cumsum(row["epochs"])[:-1]):
            assert _runs.PATIENCE < len(stage) <= _runs.CAP, (kind, setting)
            if len(stage) < _runs.CAP:  # the stored values are rounded to four digits
                before, best = stage[: -_runs.PATIENCE].min(), stage.min()
                assert best > (1 - _runs.LEAST) * before - 1e-4, (kind, setting)
        assert row["fvu"] == pytest.approx(row["fvu_by_epoch"][-1], abs=1e-4)


def test_the_errors_that_a_converged_topk_reaches(stored):
    for framework in ("torch", "tensorflow"):
        for k, most in (("32", 0.095), ("64", 0.058)):
            rows = stored["sweep"][framework]["TopK"][k]
            assert max(row["fvu"] for row in rows) <= most


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_small_run_ends_as_stored(framework, stored):
    found = experiment.small("TopK", framework)
    expected = stored["small"][framework]["TopK"]
    assert found["fvu"] == pytest.approx(expected["fvu"], abs=0.006)
    assert np.abs(np.subtract(found["epochs"], expected["epochs"])).max() <= 4


def test_pca_errs_as_stored(stored):
    for name, rows in experiment.pca().items():
        for k, values in rows.items():
            assert values == pytest.approx(stored["controls"][name][k], abs=2e-4)


@pytest.mark.parametrize("name", list(experiment.BEGIN))
def test_an_untrained_dictionary_errs_as_stored(name, stored):
    config, params = experiment.untrained(experiment.BEGIN[name], 32, 0)
    x = experiment.digits().x_val
    z = experiment.encoded(config, params, x)
    found = experiment.metrics.fvu(x, z @ params["W_dec"] + params["b_dec"])
    assert found == pytest.approx(stored["controls"][name]["32"][0], abs=0.002)
    assert np.count_nonzero(z, axis=1).max() <= 32


def test_amounts_fitted_anew_lower_the_error_and_keep_what_is_silent():
    rng = np.random.default_rng(0)
    D = rng.normal(size=(6, 20))
    params = {"W_dec": D, "b_dec": rng.normal(size=20)}
    z = np.maximum(rng.normal(size=(30, 6)), 0)
    x = z @ D + params["b_dec"]
    shrunk = experiment.refitted(params, 0.5 * z, x)
    assert shrunk[0] > 0.2
    assert shrunk[1:] == pytest.approx([0, 0], abs=1e-4)
    assert experiment.best_scale(params, 0.5 * z, x) == pytest.approx(2)
    uneven = experiment.refitted(params, z * [0.2, 1, 1, 1, 1, 1], x)
    assert uneven[1] > 0.01 > uneven[2]


def test_rows_are_shared_with_themselves_in_any_order_and_not_with_noise():
    rng = np.random.default_rng(0)
    rows, noise = rng.normal(size=(2, 30, 200))
    assert experiment.shared(rows, rows[::-1]) == pytest.approx([1, 1])
    share, mean = experiment.shared(rows, noise)
    assert share == 0
    assert mean < 0.3
    half = np.concatenate([rows[:15], noise[15:]])
    assert experiment.shared(rows, half)[0] == pytest.approx(0.5)


def test_what_two_draws_of_samples_share_is_as_stored(stored):
    config, x = experiment.config_of("TopK", 16), experiment.digits().x_train
    rows = [experiment.init_from_samples(config, x, seed)["W_dec"] for seed in (0, 1)]
    expected = stored["same"]["untrained"]["samples"][0]
    assert experiment.shared(*rows) == pytest.approx(expected, abs=1e-3)


def test_what_two_seeds_share_after_a_short_training_is_as_stored(stored):
    found = experiment.shared(*(experiment.short_rows(16, seed) for seed in (0, 1)))
    assert found == pytest.approx(stored["same"]["short"]["16"][0], abs=0.04)


def test_all_settings_and_seeds_are_stored(stored):
    for framework, settings, seeds in (
        ("torch", experiment.SETTINGS, experiment.SEEDS),
        ("tensorflow", experiment.TENSORFLOW, experiment.SEEDS[:1]),
    ):
        assert [*stored["sweep"][framework]] == [*settings]
        for kind, of_kind in settings.items():
            rows = stored["sweep"][framework][kind]
            assert list(rows) == [str(setting) for setting in of_kind]
            for setting in of_kind:
                assert len(rows[str(setting)]) == len(seeds)
    for kind, settings in experiment.COMPARED.items():
        assert experiment.MIDDLE[kind] in settings
        assert [*stored["same"]["seeds"][kind]] == [str(setting) for setting in settings]
        assert all(len(pairs) == 3 for pairs in stored["same"]["seeds"][kind].values())
    for width, kinds in experiment.WIDTHS.items():
        found = stored["same"]["widths"][str(width)]
        assert [*found] == [*kinds]
        assert all(len(row["pairs"]) == len(row["dead"]) == 3 for row in found.values())
    assert stored["settings"]["learning_rates"] == list(_runs.RATES)
    assert stored["settings"]["batch_size"] == _runs.BATCH_SIZE
    assert stored["settings"]["images"] == 55_000
