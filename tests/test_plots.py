"""Figures and their descriptions."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt

from saebook import metrics, pages, plots

RNG = np.random.default_rng(0)
FIGURES = {
    "dictionary": lambda: plots.dictionary(RNG.normal(size=(10, 784)), n_columns=4),
    "reconstructions": lambda: plots.reconstructions(
        {"input": RNG.random((5, 784)), "KL": RNG.random((5, 784))}
    ),
    "curves": lambda: plots.curves(
        {"PyTorch": [3, 2, 1], "TensorFlow": [3, 2, 1.5]}, y_label="loss"
    ),
    "sparsity_histograms": lambda: plots.sparsity_histograms(
        {"KL": RNG.random((20, 8)), "L1": np.eye(20)[:, :8]}, metrics.hoyer
    ),
}


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_describes_itself_and_its_series(name):
    figure = FIGURES[name]()
    assert len(figure.alt) > 40
    assert figure.alt.endswith(".")
    for label in {"reconstructions": ["input", "KL"], "curves": ["PyTorch", "1.5"]}.get(name, []):
        assert label in figure.alt


def test_dictionary_tiles_stand_in_reading_order_on_a_common_zero():
    atoms = np.zeros((3, 4))
    atoms[0, 0], atoms[1, 3], atoms[2, 1] = 2.0, -5.0, 0.1
    figure = plots.dictionary(atoms, n_columns=2, shape=(2, 2))
    canvas = figure.axes[0].images[0].get_array().filled(np.nan)
    assert canvas.shape == (5, 5)
    assert (canvas[0, 0], canvas[1, 4], canvas[3, 1]) == (1, -1, 1)
    assert np.isnan(canvas[2]).all()
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize("name", ["dictionary", "reconstructions"])
def test_tiles_are_crisp(name):
    """Each pixel of a picture is a square of equally many pixels in the file."""
    figure = FIGURES[name]()
    canvas = figure.axes[0].images[0].get_array()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=plots.DPI)
    file.seek(0)
    drawn = plt.imread(file)
    box = figure.axes[0].get_position()
    drawn = drawn[:, round(box.x0 * drawn.shape[1]) :]
    scale = drawn.shape[0] // canvas.shape[0]
    assert drawn.shape[:2] == (scale * canvas.shape[0], scale * canvas.shape[1])
    squares = drawn[::scale, ::scale].repeat(scale, axis=0).repeat(scale, axis=1)
    assert (drawn == squares).all()


def test_a_dead_row_is_drawn_blank():
    canvas = plots.dictionary(np.zeros((1, 4)), 1, (2, 2)).axes[0].images[0].get_array()
    assert (canvas == 0).all()


def test_wrong_tiles_are_refused():
    with pytest.raises(
        ValueError, match=r"images must have shape \(n_images, 784\).* got \(3, 10\)"
    ):
        plots.dictionary(np.zeros((3, 10)))


def canvas_of(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


@pytest.mark.parametrize("shape", [(6, 5), (1, 6, 5), (6, 5, 1)])
def test_grey_pictures_are_drawn_as_their_rows(shape):
    rows = RNG.random((4, 30))
    for draw in (
        lambda x: plots.dictionary(x, 2, (6, 5)),
        lambda x: plots.reconstructions({"input": x, "again": x}, (6, 5)),
    ):
        found, expected = draw(rows.reshape(-1, *shape)), draw(rows)
        np.testing.assert_array_equal(canvas_of(found), canvas_of(expected))
        assert found.alt == expected.alt


def test_pictures_in_colour_channels_first_or_last():
    first = RNG.random((2, 3, 6, 5))
    last = np.moveaxis(first, 1, -1)
    drawn = canvas_of(plots.reconstructions({"input": first, "KL": last}))
    assert drawn.shape == (13, 11, 3)
    np.testing.assert_allclose(drawn[:6, :5], last[0])
    np.testing.assert_allclose(drawn[7:, 6:], last[1])
    assert (drawn[6] == 1).all()
    figure = plots.dictionary(first - 0.5, n_columns=2)
    np.testing.assert_allclose(
        canvas_of(figure)[:6, :5], 0.5 + (last[0] - 0.5) / np.abs(last[0] - 0.5).max() / 2
    )
    assert "6 by 5 pictures" in figure.alt
    assert "grey is 0" in figure.alt
    with pytest.raises(ValueError, match=r"rows must hold pictures of one shape, got {'a': \(2, 6"):
        plots.reconstructions({"a": first, "b": last[:, :, :4]})
    with pytest.raises(ValueError, match=r"pictures of one channel or three, got \(2, 2, 6, 5\)"):
        plots.dictionary(first[:, :2])


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"equally many images, got {'a': 2, 'b': 3}"):
        plots.reconstructions({"a": np.zeros((2, 784)), "b": np.zeros((3, 784))})


def test_show_needs_a_description():
    figure, _ = plots.subplots()
    with pytest.raises(ValueError, match="alt must describe"):
        pages.show(figure)


SHOWN = """
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
shell.kernel = None  # what a notebook's shell has
from saebook import pages, plots
from IPython.utils.capture import capture_output
from matplotlib import pyplot
import numpy as np
def shown(draw):
    files = []
    for _ in range(2):
        figure, axis = plots.subplots()
        draw(axis)
        with capture_output() as out:
            pages.show(figure, "a plot", caption="It rises.")
        (output,) = out.outputs
        files.append(output.data)
    assert files[0] == files[1]
    assert files[0].pop("text/plain") == "It rises.\\na plot"
    assert not pyplot.get_fignums()
    ((kind, file),) = files[0].items()
    assert output.metadata[kind]["alt"] == "a plot"
    assert output.metadata[kind]["caption"] == "It rises."
    assert output.metadata[kind]["text"] == 15.3  # 11 points
    return kind, file
"""


@pytest.mark.parametrize(
    ("draw", "kind", "start", "program"),
    [
        ("lambda axis: axis.plot([1, 2])", "image/svg+xml", "<?xml", "atplotlib v"),
        ("lambda axis: axis.imshow(np.eye(3))", "image/png", b"\x89PNG", b"atplotlib"),
        ("lambda axis: axis.scatter(*np.ones((2, 9999)))", "image/png", b"\x89PNG", b"atplotlib"),
    ],
    ids=["lines", "pixels", "many points"],
)
def test_show_gives_a_notebook_the_picture_and_the_text(draw, kind, start, program):
    code = f"""
kind, file = shown({draw})
assert kind == {kind!r}
assert file[: len({start!r})] == {start!r}
assert {program!r} not in file
"""
    subprocess.run([sys.executable, "-c", SHOWN + code], check=True)


def test_the_style_is_the_books_alone():
    before = dict(plt.rcParams)
    plots.subplots()
    assert dict(plt.rcParams) == before


def test_a_table_is_markdown_with_a_cell_for_every_head():
    found = pages.table(["a", "b"], ["x", 1], ["y", 2.5]).data
    assert found.splitlines() == ["| a | b |", "| --- | --- |", "| x | 1 |", "| y | 2.5 |"]
    with pytest.raises(
        ValueError, match=r"rows must have 2 cells, as the header has, got \[1, 3\]"
    ):
        pages.table(["a", "b"], [1], [1, 2], [1, 2, 3])


def test_the_caption_of_a_table_stands_above_it():
    found = pages.table(["a"], ["x"], caption="$x$ wins.")
    assert found.data.splitlines() == ["*$x$ wins.*", "", "| a |", "| --- |", "| x |"]
    assert found.metadata == {"caption": True}
    assert not pages.table(["a"], ["x"]).metadata


STORED = """
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
shell.kernel = None
shell.display_formatter.active_types = ["text/markdown", "image/svg+xml"]
from IPython.utils.capture import capture_output
def outputs(code, asked=iter(range(9))):
    header = {"header": {"msg_id": next(asked)}}
    shell.get_parent = lambda: header
    with capture_output() as out:  # without a history, as nbval has it, all cells are number 1
        assert shell.run_cell(code, store_history=False).success
    return [str(output.data) for output in out.outputs]
outputs("from saebook import pages, plots; found = pages.results('denoising')")
(shown,) = outputs("display(pages.table(['a'], [found['run']['seconds']]))")
line = "Stored, not computed with this page: `make experiments`, denoising, 20"
assert line in shown, shown
(plain,) = outputs("display(pages.table(['a'], [1]))")
assert "Stored" not in plain, plain
draw = "pages.show(plots.subplots()[0], 'a plot')"
(figure,) = outputs(draw)
assert "Stored" not in figure
figure, below = outputs("found.items(); " + draw)
assert line in below
"""


def test_what_is_stored_says_so_where_it_is_shown():
    subprocess.run([sys.executable, "-c", STORED], check=True)
