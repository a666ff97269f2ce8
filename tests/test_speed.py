"""The file that the page "How fast is it" shows comes from `make bench`, as it is now."""

import numpy as np
import pytest

from benchmarks import contestants, works
from benchmarks.__main__ import PARTS, checksum
from benchmarks.side_by_side import pace, turn
from saebook import pages

SPEED = pages.results("speed")
TABLES = {
    "kl_256": works.KL_256,
    "kl_4096": works.KL_4096,
    "document/pytorch": works.DOCUMENT_PYTORCH,
    "document/tensorflow": works.DOCUMENT_TENSORFLOW,
    "loader/pytorch": works.LOADED,
    "loader/tensorflow": works.LOADED,
    "topk": works.TOPK,
    "peers/topk": works.TOPK,
    "peers/plain": works.PLAIN,
}


def table(path):
    found = SPEED
    for name in path.split("/"):
        found = found[name]
    return found


def test_every_part_was_run_and_no_number_changed_since():
    assert SPEED.keys() == {*PARTS, "checksum", "run"}
    assert SPEED["checksum"] == checksum(SPEED)


@pytest.mark.parametrize("path", TABLES)
def test_what_was_measured_is_what_would_be_measured_now(path):
    assert table(path)["work"] == str(TABLES[path])


@pytest.mark.parametrize("framework", ["PyTorch", "TensorFlow"])
@pytest.mark.parametrize("whose", ["saebook", "its way"])
def test_the_errors_beside_the_speed_come_out_again(framework, whose):
    """Times differ from machine to machine; what is learned in them does not."""
    name = framework.lower()
    stored = SPEED["document"][name]["contestants"][f"{whose}, {framework}"]["error"]
    prefix = {"saebook": "saebook", "its way": "document"}[whose]
    _, errors = turn(
        getattr(contestants, f"{prefix}_{name}"), getattr(works, f"DOCUMENT_{framework.upper()}")
    )
    assert errors[-1] == pytest.approx(stored, rel=0.01)


def test_ratios_hold_on_a_machine_that_slows_down_and_is_disturbed():
    alone = np.array([1.0, 2.0, 3.0, 4.0, 8.0])[:, None]
    machine = np.linspace(1, 4, 9)  # becomes slower from round to round
    seconds = alone * machine
    seconds[1, :4] *= 3  # and something else runs in four turns of one contestant
    slow = pace(seconds)
    np.testing.assert_allclose(slow / slow[0], machine / machine[0])
    found = np.median(seconds / slow, axis=1)
    np.testing.assert_allclose(found / found[0], alone[:, 0])
    plain = np.median(seconds, axis=1)
    assert plain[1] / plain[0] > 2.2  # not 2
