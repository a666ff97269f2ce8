"""A slice of the denoising experiments, run again by the same functions, gives what is stored."""

import os

import numpy as np
import pytest

from saebook import metrics, mnist, pages
from saebook.corruption import GaussianNoise

denoising = pytest.importorskip("experiments.denoising")

NOISE = GaussianNoise(0.4)


@pytest.fixture(scope="module")
def digits():
    return mnist()


@pytest.fixture(scope="module")
def noisy(digits):
    return denoising.fresh(NOISE, digits.x_test, 1)


@pytest.fixture(scope="module")
def stored():
    return pages.results("denoising")


def test_a_filter_is_tuned_and_scored_as_stored(digits, noisy, stored):
    kind = "Gaussian"
    settings = denoising.filter_candidates()[kind][1]
    chosen, smooth, mend = denoising.tuned_filter(kind, settings, digits.x_train, NOISE)
    row = stored["filters"][kind]
    assert chosen == row["settings"]
    restored = mend(smooth(noisy))
    assert metrics.psnr(digits.x_test, restored) == pytest.approx(row["full"]["psnr"], abs=0.02)
    few = restored[: denoising.N_SUBSET]
    found = denoising.scores(digits.x_test[: denoising.N_SUBSET], few)
    assert found["ssim"] == pytest.approx(row["subset"]["ssim"], abs=0.005)


def test_the_linear_denoiser_scores_as_stored(digits, noisy, stored):
    restored = denoising.LinearMMSE(digits.x_train, NOISE)(noisy)
    wanted = stored["filters"]["linear MMSE"]["full"]["psnr"]
    assert metrics.psnr(digits.x_test, restored) == pytest.approx(wanted, abs=0.02)


def test_a_model_scores_as_stored(digits, noisy, stored):
    model = denoising.train(digits.x_train, NOISE, **denoising.SHORT)
    restored = denoising.reconstruct(model, noisy)
    wanted = stored["levels"]["0.4"]["0.4"]
    assert metrics.psnr(digits.x_test, restored) == pytest.approx(wanted, abs=0.1)


@pytest.mark.skipif(not os.environ.get("SAEBOOK_ALL"), reason="takes minutes: SAEBOOK_ALL=1")
def test_a_long_training_scores_as_stored(digits):
    noise = GaussianNoise(0.2)
    model = denoising.train(digits.x_train, noise, **denoising.FIVEFOLD)
    restored = denoising.reconstruct(model, denoising.fresh(noise, digits.x_test, 1))
    wanted = pages.results("denoising")["longer"]["levels"]["0.2"]
    assert metrics.psnr(digits.x_test, restored) == pytest.approx(wanted, abs=0.1)


def test_a_trained_model_takes_inputs_that_are_not_centred(digits):
    """Another centre is another way to the same kind of model: both take plain images."""
    x = digits.x_train[:2000]
    settings = {"n_latents": 50, "stages": [(1, 1e-3)], "reconstruction": "squared_error"}
    model = denoising.train(x, NOISE, **settings)
    shifted = denoising.train(x, lambda batch, rng: NOISE(batch, rng) + 1, **settings)
    seen = denoising.fresh(NOISE, x[:100], 1)
    np.testing.assert_allclose(
        denoising.reconstruct(shifted, seen + 1), denoising.reconstruct(model, seen), atol=1e-3
    )


def test_the_file_holds_what_the_page_reads(stored):
    assert set(stored["levels"]) == {str(sigma) for sigma in denoising.LEVELS}
    assert set(stored["kinds"]) == set(denoising.KINDS)
    assert all(set(rows) == set(denoising.PENALTIES) for rows in stored["penalties"].values())
    assert set(stored["longer"]["levels"]) == set(stored["levels"])
    assert set(stored["longer"]["penalties"]) == set(denoising.PENALTIES)
    for name, settings in (("page", denoising.PAGE), ("fivefold", denoising.FIVEFOLD)):
        assert stored["settings"][name] == {
            key: [list(stage) for stage in value] if key == "stages" else value
            for key, value in settings.items()
        }
    assert {"date", "versions", "machine", "seconds"} <= set(stored["run"])
