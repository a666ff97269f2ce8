"""Commands that bring models in and out, and let one look into them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from saebook import export, interop, samples, weights
from saebook._types import Array, Params
from saebook.config import SAEConfig
from saebook.dashboard import write_dashboard
from saebook.files import check_writable
from saebook.kinds import BatchTopK, JumpReLU, TopK
from saebook.parameters import dictionary

MODEL = click.argument("model", type=click.Path(exists=True))
LAYOUT = click.option(
    "--from", "layout", type=click.Choice([*interop.LAYOUTS]), help="By default found out."
)
K = click.option("--k", type=int, help="TopK: latents per sample, where the file does not say it.")
THRESHOLD = click.option("--threshold", type=float, help="overcomplete's BatchTopK: its threshold.")
NORMALIZATION = click.option(
    "--normalization",
    type=click.Choice(["l2", "identity"]),
    help="overcomplete's dictionary: as the model there has it, l2 by default.",
)
NORMALIZED = click.option(
    "--normalized", is_flag=True, help="openai's TopK: I know that its samples are normalised."
)


def check_out(out: str, endings: Sequence[str], overwrite: bool) -> str:
    """The ending of a name for results; one that will not do is refused before any work."""
    ending = Path(out).suffix
    ending = "" if ending[1:].isdigit() else ending  # as in run-0.5
    if ending not in endings:
        allowed = " or ".join(one or "nothing" for one in endings)
        raise click.UsageError(f"out must end in {allowed}, got {out}.")
    if os.path.lexists(out) and not overwrite:
        raise click.UsageError(
            f"out must be a free name, got {out}, which is there; --overwrite replaces a file."
        )
    check_writable(out)
    return ending


def _free(out: str) -> None:
    if os.path.lexists(out):
        raise click.UsageError(f"out must be a free name, got {out}, which is there.")


def _read(path: str, layout: str | None, **options: Any) -> tuple[str, SAEConfig, dict[str, Array]]:
    """The layout of a model, and the model; options that were not given are left out."""
    layout = layout or interop.recognize(path)
    given = {name: value for name, value in options.items() if value not in (None, False)}
    return layout, *interop.read(path, layout, **given)


@click.command()
@MODEL
@click.argument("out")
@click.option("--to", type=click.Choice([*interop.LAYOUTS]), default="saebook", show_default=True)
@LAYOUT
@K
@THRESHOLD
@NORMALIZATION
@NORMALIZED
def convert(model: str, out: str, to: str, layout: str | None, **options: Any) -> None:
    """Write MODEL, a file or folder in any layout, to OUT in another.

    Nothing in a file is executed. Files of PyTorch (.pt) are read as weights alone, in a process of
    their own; a file whose publisher you do not trust is better taken as safetensors all the same.
    """
    _free(out)
    found, config, params = _read(model, layout, **options)
    more = {"normalized": True} if to == "openai" and options["normalized"] else {}
    interop.write(config, params, out, to, **more)
    click.echo(f"{out}: {config.n_features} features, {config.n_latents} latents, {found} to {to}")


@click.command("inspect")
@MODEL
@LAYOUT
@K
@THRESHOLD
@NORMALIZATION
@NORMALIZED
def inspect_command(model: str, layout: str | None, **options: Any) -> None:
    """Say what MODEL is, a file or folder in any layout; nothing in it is executed."""
    found, config, params = _read(model, layout, **options)
    click.echo(f"{'layout':<16}{found}")
    for name, value in description(config, params):
        click.echo(f"{name:<16}{value}")


def description(config: SAEConfig, params: Params) -> Iterator[tuple[str, str]]:
    """What a model is, line by line: a name and a value."""
    kind, D = config.sparsity, dictionary(config, params)
    yield "kind", "no sparsity" if kind is None else type(kind).__name__
    yield "widths", f"{config.n_features} features, {config.n_latents} latents"
    yield (
        "code",
        f"{config.activation}, {'(x - b_dec)' if config.pre_bias else 'x'} @ W_enc + b_enc",
    )
    yield "output", config.output + (", tied" if config.tied else "")
    if isinstance(kind, TopK | BatchTopK):
        yield "k", str(kind.k)
    if isinstance(kind, BatchTopK):
        threshold = float(params["threshold"])
        yield "threshold", f"{threshold:.6g}" if threshold >= 0 else "not learned"
    if isinstance(kind, JumpReLU):
        yield "thresholds", _spread(np.exp(params["log_threshold"].astype(np.float64)))
    if config.groups:
        yield "groups", ", ".join(map(str, config.groups))
    if config.output == "sigmoid":
        yield "units", "samples from 0 to 1"
    else:
        size = float(np.linalg.norm(params["b_dec"].astype(np.float64)))
        yield "units", f"those of its training; b_dec, where it starts from, has norm {size:.4g}"
    norms = np.linalg.norm(D.astype(np.float64), axis=1)
    yield "rows", f"norms {_spread(norms)}"
    never = (norms == 0) | ~np.any(params["W_enc"], axis=0)
    yield "dead rows", f"{int(never.sum())} of {config.n_latents} without a direction"
    numbers = sum(np.asarray(value).size for value in params.values())
    yield "parameters", f"{numbers} of {params['W_enc'].dtype}"


def _spread(values: Array) -> str:
    """Smallest, middle and largest."""
    return f"{values.min():.4g}, {np.median(values):.4g}, {values.max():.4g} (least, median, most)"


@click.command("export")
@MODEL
@click.option(
    "-o", "--out", required=True, help="File .onnx or .tflite, or a folder for a SavedModel."
)
@click.option("--part", type=click.Choice([*export.PARTS]), default="both", show_default=True)
@click.option("--data", type=click.Path(exists=True), help="Samples to check it on.")
@click.option("--key", help="Which array of a .npz file.")
@LAYOUT
@K
@THRESHOLD
@NORMALIZATION
@NORMALIZED
def export_command(
    model: str, out: str, part: str, data: str | None, key: str | None, layout: str | None,
    **options: Any,
) -> None:  # fmt: skip
    """Write MODEL for another runtime, run what was written, and print the differences."""
    _free(out)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
    _, config, params = _read(model, layout, **options)
    x = None if data is None else samples.read_named(data, key)[0]
    export.export(config, params, out, part)
    found = export.check(config, params, out, x, part)
    click.echo(
        f"{out}: {part} for {found.runtime}; largest difference in {found.n_samples} samples"
    )
    for name, value in (("codes", found.codes), ("reconstructions", found.reconstructions)):
        if not np.isnan(value):
            click.echo(f"  {name:<16}{value:.1e}")
    if not np.isnan(found.same_active):
        click.echo(f"  the same latents active in {found.same_active:.1%} of samples")


@click.command("dashboard")
@MODEL
@click.argument("data", type=click.Path(exists=True))
@click.option("-o", "--out", required=True, help="A new folder; or a dashboard, which is replaced.")
@click.option("--title", default="Latents of a dictionary", show_default=True)
@click.option("--examples", default=12, show_default=True, help="Examples of each latent.")
@click.option("--key", help="Which array of a .npz file.")
@LAYOUT
@K
@THRESHOLD
@NORMALIZATION
@NORMALIZED
def dashboard_command(
    model: str, data: str, out: str, title: str, examples: int, key: str | None,
    layout: str | None, **options: Any,
) -> None:  # fmt: skip
    """Write a folder to look at MODEL's latents in a browser: each with the DATA that excite it."""
    found, config, params = _read(model, layout, **options)
    x, known, _ = samples.read_named(data, key)
    shape = known or (weights.read_image_shape(model) if found == "saebook" else None)
    page = write_dashboard(
        out, (config, params), x, image_shape=shape, title=title, n_examples=examples
    )
    click.echo(f"{page}: {config.n_latents} latents, {len(x)} samples")


COMMANDS = (convert, inspect_command, export_command, dashboard_command)
