"""A slice of the features experiments, run again, against the stored numbers."""

import numpy as np
import pytest

from experiments import feature_extraction as experiment
from saebook import pages


@pytest.fixture(scope="module")
def stored():
    return pages.results("feature_extraction")


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_topk_of_64_latents(framework, stored):
    row = stored["widths"]["TopK"]["64"]
    make = experiment.codes_of("TopK", 64, stored["chosen"]["TopK"]["64"], framework)
    found = experiment.classify(make(0), experiment.digits(), (row["C"],))
    # Half a point is a third of what parts TopK from L1, the next best of this width.
    assert found["val_error"] == pytest.approx(row["val_error"][0], abs=0.005)
    assert found["test_error"] == pytest.approx(row["test_error"][0], abs=0.005)


def test_principal_components(stored):
    row, images = stored["widths"]["PCA"]["64"], experiment.digits()
    components = experiment.principal_components(64, images.x_train)
    found = experiment.classify(components, images, (row["C"],))
    assert found["test_error"] == pytest.approx(row["test_error"][0], abs=0.001)


def test_untrained_samples(stored):
    row, images = stored["widths"]["samples"]["64"], experiment.digits()
    features = experiment.untrained_samples(64, 0, images.x_train)
    found = experiment.classify(features, images, (row["C"],))
    assert found["test_error"] == pytest.approx(row["test_error"][0], abs=0.001)


def test_few_labels_on_pixels(stored):
    found = experiment.few_labels(lambda seed: experiment.pixels, {100: 10})["100"]
    expected = stored["few_labels"]["pixels"]["100"]
    assert found["draws"] == expected["draws"] == 10
    assert found["mean"] == pytest.approx(expected["mean"], abs=0.01)


def test_settings_are_those_with_the_fewest_validation_errors(stored):
    for kind, of_widths in stored["sweep"].items():
        for width, errors in of_widths.items():
            best = min(errors, key=errors.get)
            assert float(best) == stored["chosen"][kind][width]
            assert stored["widths"][kind][width]["val_error"][0] == errors[best]


def test_one_step_beyond_a_grid():
    assert experiment.beyond((0.1, 0.3, 1.0), 0.3) == (0.3,)
    assert experiment.beyond((0.1, 0.3, 1.0), 0.1) == (0.1, 0.033)
    assert experiment.beyond((12, 25, 50), 50) == (50, 100)
    assert experiment.beyond((12, 25, 50), 12) == (12, 6)


def test_l1_of_64_latents_until_it_is_flat(stored, monkeypatch):
    monkeypatch.setattr(experiment, "KINDS", {"L1": experiment.KINDS["L1"]})
    row = experiment.until_flat(stored["chosen"], (64,), (0,))["L1"]["64"]
    wanted = stored["until_flat"]["L1"]["64"]
    assert row["setting"] == wanted["setting"]
    # Training for longer took more than a point off.
    assert row["test_error"][0] == pytest.approx(wanted["test_error"][0], abs=0.005)


def test_settings_of_flat_models_are_those_with_the_fewest_validation_errors(stored):
    for kind, of_widths in stored["until_flat"].items():
        for width, row in of_widths.items():
            wanted = experiment.beyond(
                experiment.KINDS[kind]["settings"], stored["chosen"][kind][width]
            )
            assert [*row["tried"]] == [str(setting) for setting in wanted]
            assert str(row["setting"]) == min(row["tried"], key=row["tried"].get)
            assert row["val_error"][0] == row["tried"][str(row["setting"])]
            assert len(row["test_error"]) == len(row["epochs"]) == 3


def test_the_classifier_is_chosen_on_validation_labels_alone():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(60, 5)), np.repeat([0, 1], 30)
    z[:, 0] += 4 * y
    fit, lowest = experiment.best_classifier(z[::2], y[::2], z[1::2], y[1::2], (1e-3, 1e-2, 1e-1))
    assert lowest == experiment.error(fit, z[1::2], y[1::2])
    assert fit.C in (1e-3, 1e-2, 1e-1)
