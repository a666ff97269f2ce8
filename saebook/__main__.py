"""The command line: python -m saebook doctor | train | encode | denoise | detect,

and convert | inspect | export | dashboard, which are in `saebook.commands`.
"""

import csv
import dataclasses
import io
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np

import saebook
from saebook import SAEConfig, TrainConfig, doctor, inference, kinds, samples, weights
from saebook._types import Array, Params, Shape, StrPath
from saebook.checks import check_array, check_samples
from saebook.commands import COMMANDS, check_out
from saebook.corruption import GaussianNoise
from saebook.files import check_writable, replace_file
from saebook.kinds import Sparsity
from saebook.metrics import reconstruction_error

KINDS = {kind.__name__.lower(): kind for kind in kinds.KINDS}
DATA = click.argument("data", type=click.Path(exists=True))
MODEL = click.argument("model", type=click.Path(exists=True, dir_okay=False))
KEY = click.option("--key", help="Which array of a .npz file.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a file that is there.")


class Cli(click.Group):
    """Turns the package's errors into messages of one line and an exit status of 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, ImportError, FloatingPointError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(saebook.__version__, prog_name="saebook")
def main() -> None:
    """Sparse autoencoders for people who write no Python.

    DATA is a .npy or .npz file (n_samples, ...) or a folder of images of one size.
    """


@main.command("doctor")
def doctor_command() -> None:
    """Say what is installed, and test it: paste this when you ask for help."""
    lines = doctor.report()
    while True:
        try:
            click.echo(next(lines))
        except StopIteration as end:
            sys.exit(1 if end.value else 0)


@main.command()
@DATA
@click.option("-o", "--out", required=True, help="File to write the model to (.safetensors).")
@click.option("--latents", default=256, show_default=True, help="Width of the code.")
@click.option("--kind", type=click.Choice([*KINDS, "none"]), default="topk", show_default=True)
@click.option("--k", default=32, show_default=True, help="TopK, BatchTopK: latents per sample.")
@click.option("--rho", default=0.05, show_default=True, help="KL: wanted mean activation.")
@click.option("--beta", default=1.0, show_default=True, help="KL: weight of the penalty.")
@click.option("--l1", default=0.1, show_default=True, help="L1: weight of the penalty.")
@click.option("--weight", type=float, help="Other kinds: weight of the penalty.")
@click.option("--l0", type=float, help="L1 and others with a price: wanted active latents instead.")
@click.option("--noise", default=0.0, help="Train to denoise: standard deviation of the noise.")
@click.option("--epochs", default=20, show_default=True)
@click.option("--batch-size", default=256, show_default=True)
@click.option("--learning-rate", type=float, help="By default one that suits kind and width.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--backend", type=click.Choice(weights.BACKENDS), default="pytorch", show_default=True
)
@click.option("--device", default="auto", show_default=True)
@KEY
@OVERWRITE
def train(
    data: str,
    out: str,
    overwrite: bool,
    latents: int,
    kind: str,
    noise: float,
    epochs: int,
    batch_size: int,
    **options: Any,
) -> None:
    """Train a model on DATA.

    Interrupted, the same command goes on where it was: until training is over its state is in a
    file beside OUT.
    """
    check_out(out, (".safetensors", ""), overwrite)
    checkpoint = Path(f"{out}.checkpoint")
    check_writable(checkpoint)
    x, shape, _ = samples.read_named(data, options["key"])
    sparsity = _kind(kind, options)
    config = SAEConfig(
        x.shape[1],
        latents,
        activation="relu" if sparsity is None else sparsity.activations[0],
        output="linear",
        sparsity=sparsity,
        tied=kind != "kl",
        unit_norm=kind == "l1",
    )
    training = TrainConfig(epochs, batch_size, options["learning_rate"], seed=options["seed"])
    package = import_module(f"saebook.{options['backend']}")
    dtype = "float64" if x.dtype == np.float64 else "float32"
    model = package.SparseAutoencoder(config, options["seed"], dtype, options["device"])
    history = package.fit(
        model,
        x,
        training,
        corruption=GaussianNoise(noise, clip=False) if noise else None,
        checkpoint=checkpoint,
    )
    weights.save(model, out, shape)
    checkpoint.unlink(missing_ok=True)
    click.echo(
        f"{out}: {len(x)} samples of {x.shape[1]} features, {latents} latents; error per sample "
        f"{history['reconstruction'][-1]:.4g}, {history['l0'][-1]:.1f} latents active, "
        f"{history['dead'][-1]} dead"
    )


@main.command()
@MODEL
@DATA
@click.option("-o", "--out", required=True, help="File to write the codes to (.npy or .npz).")
@KEY
@OVERWRITE
def encode(model: str, data: str, out: str, key: str | None, overwrite: bool) -> None:
    """Write the codes of DATA, (n_samples, n_latents)."""
    check_out(out, (".npy", ".npz"), overwrite)
    x, _, names = _read(model, data, key)
    config, params = weights.read(model)
    z = np.empty((len(x), config.n_latents), params["W_enc"].dtype)
    for rows, batch in _checked(config, params, data, x):
        z[rows] = inference.encode(config, params, batch)
    _write_array(out, z, names)


@main.command()
@MODEL
@DATA
@click.option("-o", "--out", required=True, help="File (.npy or .npz), or a new folder for images.")
@KEY
@OVERWRITE
def denoise(model: str, data: str, out: str, key: str | None, overwrite: bool) -> None:
    """Write DATA as the model rebuilds it, by a model trained with --noise or any other."""
    folder = check_out(out, (".npy", ".npz", ""), overwrite) == ""
    if folder and os.path.lexists(out):
        raise click.UsageError(f"out must be a folder that is not there yet, got {out}.")
    x, shape, names = _read(model, data, key)
    if folder and shape is None:
        raise click.UsageError(f"out must end in .npy or .npz for DATA of no images, got {out}.")
    rebuilt = np.concatenate([x_hat for x_hat, _ in _run(model, data, x)])
    if shape is None or not folder:
        _write_array(out, rebuilt, names)
        return
    samples.write_images(out, rebuilt, shape, names or [str(row) for row in range(len(x))])
    click.echo(f"{out}: {len(rebuilt)} images")


@main.command()
@MODEL
@DATA
@click.option("--clean", type=click.Path(exists=True), required=True, help="Data known as normal.")
@click.option("--false-alarms", default=0.01, show_default=True, help="Share of clean data.")
@click.option("-o", "--out", help="File to write every sample's score to (.csv).")
@KEY
@OVERWRITE
def detect(
    model: str, data: str, clean: str, false_alarms: float, out: str | None, **options: Any
) -> None:
    """Name the samples of DATA that the model rebuilds worse than nearly all CLEAN data.

    CLEAN must not be what the model was trained on, whose errors are too small.
    """
    if not 0 < false_alarms < 1:
        raise click.UsageError(f"false-alarms must be between 0 and 1, got {false_alarms}.")
    if out:
        check_out(out, (".csv",), options["overwrite"])
    read = {path: _read(model, path, options["key"]) for path in (clean, data)}
    scores = {
        path: np.concatenate([error for _, error in _run(model, path, x)])
        for path, (x, _, _) in read.items()
    }
    names = read[data][2] or range(len(scores[data]))
    threshold = float(np.quantile(scores[clean], 1 - false_alarms))
    found = scores[data] > threshold
    rows = [[name, f"{score:.6g}"] for name, score in zip(names, scores[data], strict=True)]
    if out:
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["sample", "score", "anomalous"])
        table.writerows([*row, int(anomalous)] for row, anomalous in zip(rows, found, strict=True))
        replace_file(out, text.getvalue().encode(errors="surrogateescape"))
    for index in np.flatnonzero(found).tolist():
        name, score = rows[index]
        click.echo(f"{click.format_filename(str(name))}\t{score}")
    click.echo(f"{found.sum()} of {len(found)} samples above {threshold:.6g}", err=True)


def _read(
    model: str, data: str, key: str | None
) -> tuple[Array, tuple[int, int] | None, list[str] | None]:
    """Samples, height and width, names; images of another shape than the model's are refused."""
    known = _height_width(weights.read_image_shape(model))
    x, shape, names = samples.read_named(data, key)
    if shape and known and shape != known:
        raise ValueError(
            f"{data} must hold images of {known[0]} x {known[1]} pixels, height by width, as "
            f"{model} was trained on, got {shape[0]} x {shape[1]}."
        )
    return x, shape or known, names


def _height_width(shape: Shape | None) -> tuple[int, int] | None:
    """Height and width of a grey image, whose axis of channels has length 1; None for others."""
    if shape is not None and len(shape) > 2:
        shape = tuple(n for n in shape if n != 1)
    return (shape[0], shape[1]) if shape is not None and len(shape) == 2 else None


def _kind(name: str, options: Mapping[str, Any]) -> Sparsity | None:
    """The kind of sparsity of that name, with those of the options that are settings of it."""
    fields = [] if name == "none" else [field.name for field in dataclasses.fields(KINDS[name])]
    if options["l0"] is not None and "l0" not in fields:
        raise ValueError(f"--l0 needs a --kind with a price, l1, jumprelu or gated, got {name}.")
    if name == "none":
        return None
    given = {**options, "weight": options["l1"] if name == "l1" else options["weight"]}
    return KINDS[name](**{n: given[n] for n in fields if given.get(n) is not None})


def _run(model: StrPath, data: str, x: Array) -> Iterator[tuple[Array, Array]]:
    """Reconstruction and error of samples, block by block, in NumPy."""
    config, params = weights.read(model)
    for _, batch in _checked(config, params, data, x):
        for _, block, _, x_hat in inference.rebuilt(config, params, batch):
            yield x_hat, reconstruction_error(block, x_hat)


def _checked(
    config: SAEConfig, params: Params, data: str, x: Array
) -> Iterator[tuple[slice, Array]]:
    """The samples block by block, in the model's dtype, with their rows."""
    dtype = params["W_enc"].dtype
    check_array(config, x, data)
    for rows in inference.blocks(config, len(x)):
        with np.errstate(over="ignore"):  # a number too large for float32 is reported as infinite
            batch = np.asarray(x[rows], dtype)
        finite = np.isfinite(batch).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{data} must be finite, got NaN or infinity first in sample number "
                f"{rows.start + int(finite.argmin())}."
            )
        yield rows, check_samples(config, batch, data, dtype)


def _write_array(path: str, x: Array, names: list[str] | None) -> None:
    content = io.BytesIO()
    if path.endswith(".npy"):
        np.save(content, x, allow_pickle=False)
    else:
        arrays: dict[str, Any] = {"x": x} if names is None else {"x": x, "names": names}
        np.savez(content, **arrays)
    replace_file(path, content.getbuffer())
    click.echo(f"{path}: {x.shape[0]} x {x.shape[1]}")


for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m saebook")
