"""Measures, against cases whose value is known."""

import numpy as np
import pytest

from saebook import metrics

RNG = np.random.default_rng(0)
X = RNG.random((20, 5))


def test_reconstruction_error_is_a_sum_per_sample():
    np.testing.assert_allclose(metrics.reconstruction_error(X, X + 2.0), np.full(20, 20.0))


def test_fvu_of_the_mean_is_1_and_of_a_copy_0():
    assert metrics.fvu(X, np.broadcast_to(X.mean(axis=0), X.shape)) == pytest.approx(1)
    assert metrics.fvu(X, X) == 0


def test_fvu_is_a_ratio_of_sums_and_not_a_mean_of_ratios():
    """Samples near the mean with an error of their own size must not rule the result."""
    x = np.array([[0.0], [10.0], [5.001], [4.999]])
    x_hat = np.array([[0.0], [10.0], [5.0], [5.0]])
    assert metrics.fvu(x, x_hat) < 1e-6


def test_fvu_is_the_same_for_more_samples_than_are_looked_at_at_a_time():
    rng = np.random.default_rng(0)
    growing = np.linspace(0, 1, 2500)[:, None]  # no part is like another
    x, x_hat = rng.random((2, 2500, 3)) * growing
    expected = np.sum((x - x_hat) ** 2) / np.sum((x - x.mean(axis=0)) ** 2)
    assert metrics.fvu(x, x_hat) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [1.0, 0.1])  # the mean of three 0.1 is not exactly 0.1
def test_fvu_needs_variance(value):
    x = np.full((3, 2), value)
    with pytest.raises(ValueError, match="at least two different samples, got 3 equal"):
        metrics.fvu(x, x)


def test_l0_and_dead_features_count_what_is_above_the_threshold():
    z = np.array([[0.0, 0.6, 0.1], [0.0, 0.4, 0.0]])
    assert metrics.l0(z) == 1.5
    assert metrics.l0(z, threshold=0.5) == 0.5
    assert metrics.dead_features(z).tolist() == [True, False, False]
    assert metrics.dead_features(z, threshold=0.5).tolist() == [True, False, True]
    assert metrics.l0(-z, threshold=0.5) == 0.5  # a linear latent is active in both directions
    assert metrics.dead_features(-z).tolist() == [True, False, False]


@pytest.mark.parametrize("measure", [metrics.hoyer, metrics.treves_rolls])
@pytest.mark.parametrize("axis", [0, 1])
def test_sparseness_is_1_for_one_active_entry_and_0_for_equal_ones(measure, axis):
    n = 6
    np.testing.assert_allclose(measure(3.0 * np.eye(n), axis), np.ones(n))
    np.testing.assert_allclose(measure(np.full((n, n), 0.2), axis), np.zeros(n), atol=1e-12)
    scaled = RNG.random((n, n))
    np.testing.assert_allclose(measure(7 * scaled, axis), measure(scaled, axis))


@pytest.mark.parametrize("measure", [metrics.hoyer, metrics.treves_rolls])
def test_silence_has_no_sparseness(measure):
    z = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert np.isnan(measure(z, axis=1)[0])
    assert measure(z, axis=1)[1] == pytest.approx(1)


@pytest.mark.parametrize("measure", [metrics.hoyer, metrics.treves_rolls])
def test_the_two_senses_differ(measure):
    """One latent active for all samples: sparse per sample, dense in its lifetime."""
    z = np.zeros((8, 4))
    z[:, 2] = 1.0
    np.testing.assert_allclose(measure(z, axis=1), 1)
    assert measure(z, axis=0)[2] == pytest.approx(0)


@pytest.mark.parametrize("measure", [metrics.hoyer, metrics.treves_rolls])
def test_rounding_does_not_take_sparseness_out_of_its_range(measure):
    """Of equal entries it is 0 up to rounding, which takes some hundreds of these below."""
    for n in range(2, 14):
        found = measure(np.tile(RNG.random((100, 1)), n), axis=1)
        assert found.min() >= 0
        assert measure(np.eye(n) * RNG.random((n, 1)), axis=1).max() <= 1


def test_sparseness_by_hand():
    z = np.array([[3.0, 4.0]])
    assert metrics.hoyer(z, axis=1)[0] == pytest.approx((2**0.5 - 7 / 5) / (2**0.5 - 1))
    assert metrics.treves_rolls(z, axis=1)[0] == pytest.approx((1 - 3.5**2 / 12.5) / (1 - 1 / 2))
    assert metrics.hoyer(-z, axis=1) == metrics.hoyer(z, axis=1)


SIZES = [1e-300, 1e-200, 1e-20, 1.0, 1e20, 1e200, 1e307]


@pytest.mark.parametrize("measure", [metrics.hoyer, metrics.treves_rolls])
@pytest.mark.parametrize("axis", [0, 1])
def test_sparseness_stays_in_its_range_and_does_not_depend_on_the_size(measure, axis):
    """Squares of 1e-200 are 0 and those of 1e200 infinite; rounding must not leave the range."""
    rng = np.random.default_rng(0)
    codes = [rng.random((7, 7)) * (rng.random((7, 7)) < share) for share in (0.1, 0.3, 1.0)]
    codes += [np.eye(7), np.full((7, 7), 0.1), 1 - 1e-9 * np.eye(7), np.eye(7) + 1e-9]
    for z in codes:
        expected = measure(z, axis)
        active = z.any(axis=axis)
        for size in SIZES:
            found = measure(size * z, axis)
            np.testing.assert_array_equal(np.isnan(found), ~active)
            assert ((found[active] >= 0) & (found[active] <= 1)).all()
            np.testing.assert_allclose(found, expected, atol=1e-12)
    mixed = np.diag(np.array(SIZES)) * np.ones((7, 1))  # each row and column of its own size
    np.testing.assert_allclose(measure(mixed, axis), 1)
    smallest = np.full((2, 3), 5e-324)
    np.testing.assert_allclose(measure(smallest, axis), 0, atol=1e-12)


def test_fvu_and_cosines_do_not_depend_on_the_size():
    rng = np.random.default_rng(0)
    x, x_hat = rng.random((2, 30, 4))
    for size in (1e-300, 1e-200, 1e200, 1e300):
        assert metrics.fvu(size * x, size * x_hat) == pytest.approx(metrics.fvu(x, x_hat))
        for function in (metrics.max_cosines, metrics.matched_cosines):
            np.testing.assert_allclose(function(size * x, x_hat / size), function(x, x_hat))


def test_no_cosine_is_above_1():
    rows = np.random.default_rng(0).normal(size=(500, 7))
    assert metrics.max_cosines(rows, rows).max() <= 1


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_sums_are_taken_in_float64(dtype):
    """float16 ends at 65504, and float32 has 24 digits: sums of many need more."""
    rng = np.random.default_rng(0)
    x, x_hat = (300 * rng.random((2, 50, 400))).astype(dtype)
    exact, exact_hat = x.astype(float), x_hat.astype(float)
    for function in (
        metrics.reconstruction_error,
        metrics.fvu,
        metrics.max_cosines,
        metrics.matched_cosines,
        lambda a, b: metrics.hoyer(a, 1),
        lambda a, b: metrics.treves_rolls(a, 0),
        lambda a, b: metrics.l0(a, 100.0),
        lambda a, b: metrics.dead_features(a, 299.0),
    ):
        found, expected = function(x, x_hat), function(exact, exact_hat)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    small, other = (x / 512).astype(dtype), (x_hat / 512).astype(dtype)
    assert metrics.psnr(small, other) == pytest.approx(
        metrics.psnr(small.astype(float), other.astype(float)), rel=1e-14
    )


def test_an_error_in_float32_is_that_of_the_numbers_and_no_other():
    """Large in size, or a small error in a large mean."""
    x = np.full((2, 3), 1e30, np.float32)
    np.testing.assert_allclose(metrics.reconstruction_error(x, -x), 3 * (2e30) ** 2)
    rng = np.random.default_rng(0)
    x = (1e4 + rng.normal(size=(3000, 5))).astype(np.float32)
    x_hat = x + rng.normal(scale=0.1, size=x.shape).astype(np.float32)
    exact, exact_hat = x.astype(np.longdouble), x_hat.astype(np.longdouble)
    expected = np.sum((exact - exact_hat) ** 2) / np.sum((exact - exact.mean(axis=0)) ** 2)
    assert metrics.fvu(x, x_hat) == pytest.approx(float(expected), rel=1e-12)


def test_psnr_is_a_mean_over_images_of_clipped_reconstructions():
    x = np.zeros((2, 4))
    x_hat = np.array([[0.1] * 4, [0.01] * 4])
    assert metrics.psnr(x, x_hat) == pytest.approx((20 + 40) / 2)
    assert metrics.psnr(x, np.where(x_hat == 0.1, 0.1, -5)) == np.inf


def test_ssim_of_equal_images_is_1_and_falls_with_noise():
    rng = np.random.default_rng(0)
    x = rng.random((3, 784))
    assert metrics.ssim(x, x) == pytest.approx(1)
    little, much = (metrics.ssim(x, x + s * rng.normal(size=x.shape)) for s in (0.1, 0.4))
    assert 1 > little > much > 0


def test_false_alarms_at_a_detection_rate():
    normal, anomalous = np.arange(10.0), np.arange(5.0, 15.0)  # 5 to 14
    assert metrics.false_alarms_at(1.0, normal, anomalous) == 0.5  # threshold 5: 5 to 9 alarm
    assert metrics.false_alarms_at(0.8, normal, anomalous) == 0.3  # threshold 7
    assert metrics.false_alarms_at(0.95, normal, normal + 100) == 0
    assert metrics.false_alarms_at(0.1, normal, np.arange(30.0)) == 0
    for kind in (int, np.uint8, np.float16):
        assert metrics.false_alarms_at(0.8, normal.astype(kind), anomalous.astype(kind)) == 0.3
    assert metrics.false_alarms_at(1e-12, normal, anomalous) == 0  # one anomaly has to be found


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.reconstruction_error(X, X[:, :3]), "x_hat must have the shape of x"),
        (lambda: metrics.fvu(X, np.full_like(X, np.nan)), "x_hat must be finite, got NaN"),
        (lambda: metrics.l0(X[0]), r"z must be .* two-dimensional array, got shape \(5,\)"),
        (lambda: metrics.l0(np.zeros((0, 3))), "z must be a non-empty"),
        (
            lambda: metrics.dead_features(np.zeros((2, 3), dtype=int)),
            "floating-point numbers, got int",
        ),
        (lambda: metrics.hoyer(X, axis=2), "axis must be 0"),
        (lambda: metrics.hoyer(X[:, :1], axis=1), "at least 2 entries along axis 1"),
        (lambda: metrics.treves_rolls(-X, axis=1), "must not be negative"),
        (lambda: metrics.psnr(X, X[:, :3]), "x_hat must have the shape of x"),
        (lambda: metrics.ssim(X, X, shape=(2, 2)), r"shape must multiply to 5, .*got \(2, 2\)"),
        (lambda: metrics.false_alarms_at(0, X[0], X[0]), "detection must be above 0"),
        (lambda: metrics.false_alarms_at(0.95, X, X[0]), "normal must be a non-empty one-dim"),
        (lambda: metrics.false_alarms_at(0.95, X[0], X[0] * np.nan), "anomalous must be .*finite"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_max_cosines_look_for_the_nearest_direction():
    rows = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, -3.0]])
    others = np.array([[5.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(metrics.max_cosines(rows, others), [1, np.sqrt(0.5), 0], atol=1e-15)
    np.testing.assert_allclose(metrics.max_cosines(others, rows), [1, np.sqrt(0.5)])


def test_matched_cosines_give_every_row_to_one_other():
    rows = np.array([[1.0, 0.0], [1.0, 0.1]])
    others = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert metrics.max_cosines(rows, others).sum() > 1.99  # both take the first
    best = metrics.matched_cosines(rows, others)
    np.testing.assert_allclose(best, [1, 0.1 / np.sqrt(1.01)])
    assert metrics.matched_cosines(rows, others[:1]).shape == (1,)
    shuffled = np.random.default_rng(0).permutation(X)
    np.testing.assert_allclose(metrics.matched_cosines(X, 3 * shuffled), 1)


def test_a_row_of_zeros_is_like_nothing():
    zero = np.zeros((1, 5))
    np.testing.assert_array_equal(metrics.max_cosines(zero, X), 0)
    np.testing.assert_array_equal(metrics.matched_cosines(X, zero), [0])


@pytest.mark.parametrize("function", [metrics.max_cosines, metrics.matched_cosines])
def test_cosines_need_rows_of_one_width(function):
    with pytest.raises(ValueError, match="others must have as many columns as rows, 5, got 4"):
        function(X, X[:, :4])
    with pytest.raises(ValueError, match="others must be a non-empty two-dimensional array"):
        function(X, np.zeros((0, 5)))
