"""The corruptions: what they do on average, and that they leave the rest alone."""

import numpy as np
import pytest

from saebook.corruption import GaussianNoise, Masking, SaltAndPepper

ALL = [GaussianNoise(0.3), GaussianNoise((0.1, 0.5)), SaltAndPepper(0.3), Masking(0.3)]


@pytest.fixture
def x():
    x = np.random.default_rng(1).uniform(0.2, 0.8, (2_000, 50)).astype(np.float32)
    x.setflags(write=False)
    return x


@pytest.mark.parametrize("corruption", ALL, ids=str)
def test_same_shape_and_dtype_in_range_and_drawn_from_the_generator_alone(corruption, x):
    first, again = (corruption(x, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    assert first.min() >= 0
    assert first.max() <= 1
    assert not np.array_equal(first, corruption(x, np.random.default_rng(6)))
    assert corruption(x.astype(float), np.random.default_rng(0)).dtype == float


@pytest.mark.parametrize("sigma", [0.3, (0.1, 0.5)])
def test_a_measured_sigma_changes_neither_dtype_nor_noise(sigma, x):
    """`x.std()` of float64 samples is NumPy's float64, which float32 gives way to."""
    measured = tuple(map(np.float64, sigma)) if isinstance(sigma, tuple) else np.float64(sigma)
    for clip in (True, False):
        expected, found = (
            GaussianNoise(s, clip)(x, np.random.default_rng(5)) for s in (sigma, measured)
        )
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


def test_gaussian_noise_has_its_standard_deviation(x):
    noise = GaussianNoise(0.3, clip=False)(x, np.random.default_rng(0)) - x
    assert noise.mean() == pytest.approx(0, abs=0.005)
    assert noise.std() == pytest.approx(0.3, rel=0.01)


def test_a_range_of_levels_is_drawn_per_sample(x):
    noise = GaussianNoise((0.1, 0.5), clip=False)(x, np.random.default_rng(0)) - x
    levels = noise.std(axis=1)
    assert levels.mean() == pytest.approx(0.3, rel=0.05)
    assert levels.std() == pytest.approx(0.4 / 12**0.5, rel=0.1)


def test_clipping_lifts_a_black_background_by_0_4_sigma():
    black = GaussianNoise(0.4)(np.zeros((1_000, 100)), np.random.default_rng(0))
    assert black.mean() == pytest.approx(0.4 / np.sqrt(2 * np.pi), rel=0.01)


def test_salt_and_pepper_and_masking_lose_their_share_and_keep_the_rest(x):
    spoiled = SaltAndPepper(0.3)(x, np.random.default_rng(0))
    assert (spoiled == 0).mean() == pytest.approx(0.15, abs=0.005)
    assert (spoiled == 1).mean() == pytest.approx(0.15, abs=0.005)
    kept = (spoiled != 0) & (spoiled != 1)
    np.testing.assert_array_equal(spoiled[kept], x[kept])
    masked = Masking(0.3)(x, np.random.default_rng(0))
    assert (masked == 0).mean() == pytest.approx(0.3, abs=0.005)
    np.testing.assert_array_equal(masked[masked > 0], x[masked > 0])


@pytest.mark.parametrize("corruption", [GaussianNoise(0), SaltAndPepper(0), Masking(0.0)], ids=str)
def test_nothing_lost_is_nothing_changed(corruption, x):
    np.testing.assert_array_equal(corruption(x, np.random.default_rng(0)), x)


def test_everything_lost(x):
    assert not Masking(1)(x, np.random.default_rng(0)).any()
    assert set(np.unique(SaltAndPepper(1.0)(x, np.random.default_rng(0)))) == {0, 1}
