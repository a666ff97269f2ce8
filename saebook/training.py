"""Training, and reading a trained model, in either framework: NumPy arrays in, NumPy arrays out.

The loop over epochs is here. What a framework does in its own words, the data on the device, a
step, the sums of an epoch, is the file ``engine.py`` of each; `saebook.engine` says what that is.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from saebook._types import Array, ArrayLike, Corruption, Samples, Shape, StrPath
from saebook.batches import Batches, check_validation_noise
from saebook.checkpoint import Checkpoint, check_same, marks
from saebook.checks import (
    check_batch_size,
    check_different,
    check_finite,
    check_noisy,
)
from saebook.config import TrainConfig
from saebook.doubts import warn_of, warn_of_another_l0, warn_of_silence
from saebook.engine import Engine, agreed
from saebook.loaders import checked, joined, pieces_of
from saebook.metrics import dead_features, fvu, l0
from saebook.model import Autoencoder, SparseCode, has_sparse_code, loss_terms
from saebook.start import begin_at_data

# What an engine sums over the samples of an epoch, in this order, while the weights move.
FIGURES = ("reconstruction", "sparsity", "weight_decay", "loss", "l0")

# What `evaluate` measures beside the terms of the loss, from samples, reconstructions, codes, and
# the size above which a latent is active. A new one adds its row, and `fit` has it as ``val_NAME``.
MEASURES: dict[str, Callable[[Array, Array, Array, float], float]] = {
    "l0": lambda x, x_hat, z, above: l0(z, above),
    "dead": lambda x, x_hat, z, above: int(dead_features(z, above).sum()),
    "fvu": lambda x, x_hat, z, above: fvu(x, x_hat),
}


def epochs(
    engine: Engine, data: Batches, train_config: TrainConfig, first: int = 0, n_steps: int = 0,
    hide: bool | None = None,
) -> Iterator[tuple[int, Array, Array]]:  # fmt: skip
    """Train, and yield each epoch's number, from 0, the means of its figures and what fired.

    `first` and `n_steps` are the epochs and steps that lie behind; `hide` the progress bar.
    """
    try:
        todo = range(first, train_config.epochs)
        for epoch in tqdm(todo, desc="training", unit="epoch", disable=hide):
            engine.begin_epoch()
            n_samples = 0
            for batch, *noisy in agreed(engine, data, epoch):
                rate = train_config.learning_rate_at(n_steps, data.n_steps)
                engine.step(rate, train_config.strength_at(n_steps), batch, *noisy)
                n_steps += 1
                n_samples += len(batch)
            yield epoch, *engine.end_epoch(n_samples)
    finally:
        engine.stop()


def row_of(means: Array, fired: Array) -> dict[str, float]:
    """The figures of an epoch by name, in plain numbers."""
    return dict(zip(FIGURES, means.tolist(), strict=True)) | {"dead": int(np.sum(~fired))}


def fit(
    model: Any,
    x: Samples,
    train_config: TrainConfig = TrainConfig(),
    x_val: Samples | None = None,
    corruption: Corruption | ArrayLike | None = None,
    checkpoint: Checkpoint | StrPath | None = None,
    progress: bool | None = None,
    after_epoch: Callable[[int, dict[str, float]], object] | None = None,
) -> dict[str, list[float]]:
    """Train a model in place by mini-batch Adam.

    Called again, it goes on from the present weights with a fresh optimiser and the same sequence
    of orders; give it another ``train_config.seed`` for other orders.

    Several processes train one model together if all call this alike: of every batch each takes its
    share, and the weights are those of a single process up to rounding. In PyTorch these are
    processes that torchrun has started, each of which has called
    ``torch.distributed.init_process_group()``; in TensorFlow each is in the scope of a
    ``tf.distribute.MultiWorkerMirroredStrategy``, in which it has made the model too.

    Parameters
    ----------
    model : SparseAutoencoder
        Of either framework.
    x : array (n_samples, n_features), or an iterable of such arrays
        Training samples. An array is copied to a GPU once; a CPU uses it as it is. For data larger
        than memory give a `numpy.memmap` or `saebook.batches.Shards`, which are read batch by
        batch, or an iterable that gives the batches of an epoch, in its order, every time it is
        gone through: a list, a ``DataLoader`` of PyTorch, a ``tf.data.Dataset`` of batches. Of a
        batch that is a list or tuple the first is taken, the samples; labels are left aside.
        Samples of any shape, images ``(n_samples, 28, 28)`` or ``(n_samples, 3, 32, 32)``, become
        rows in C order; the model keeps the shape as its ``image_shape``, and refuses others.
        Unsigned 8-bit pixels become float32, divided by 255.
    train_config : TrainConfig
    x_val : array (n_val_samples, n_features), or a loader of such arrays, optional
        Validation samples, looked at after every epoch, all at once.
    corruption : callable or array (n_samples, n_features), optional
        ``corruption(batch, rng)`` makes what the encoder sees of a batch, anew in every epoch; the
        target stays the clean batch (a denoising autoencoder, Vincent et al. 2008). Both arrays
        are NumPy's, and so is the generator `rng`, which depends on seed and epoch alone. See
        `saebook.corruption`. A transform of torchvision or a preprocessing layer of Keras is one
        too, called with samples in the shape of `x`. Of `x_val` one corrupted copy is made, and
        kept. An array is one corrupted copy of all samples, the same in every epoch.
    checkpoint : str or path-like, optional
        File that is written after every epoch, whole or not at all. If it exists, training goes on
        from it, exactly as if it had never stopped; one that `after_epoch` has ended stays as it
        is. Of several processes one writes, and all read.
    progress : bool, optional
        Whether to show a progress bar; by default on terminals only.
    after_epoch : callable, optional
        ``after_epoch(number, row)`` is called with the number of the epoch, from 1, and its
        figures; training ends when it returns a true value, of several processes in any.

    Returns
    -------
    dict of str to list of float
        One value per epoch. Means over the epoch's samples while the weights move: the terms
        ``reconstruction``, ``sparsity``, ``weight_decay``, their sum ``loss``, and ``l0``, the
        active latents per sample; ``dead`` counts the latents active for no sample of the epoch.
        With `x_val`, the same after the epoch as ``val_...``, and ``val_fvu``.

    Raises
    ------
    ValueError
        If an array does not suit the model, what `corruption` returns does not suit its batch,
        the checkpoint belongs to another training, or mixed precision is asked of a float64 model.
    FloatingPointError
        If the loss or a parameter stops being finite.
    OSError
        If the checkpoint cannot be written. The one before it stays.
    RuntimeError
        If another of the processes that train together has failed; it says why itself.
    """
    if train_config.mixed_precision and model.dtype != "float32":
        raise ValueError(f"mixed_precision needs a model of dtype float32, got {model.dtype}.")
    engine = model.engine(train_config)
    rank, world_size = engine.rank, engine.world_size
    run = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)

    def begin() -> tuple[TrainConfig, Batches, Array | None, Array | None]:
        data = Batches(
            model.config, x, model.dtype, train_config, corruption, rank, world_size,
            model.image_shape,
        )  # fmt: skip
        held_out = shape = None
        if x_val is not None:
            parts = pieces_of(x_val, "x_val", data.image_shape)
            held_out, shape = joined(checked(model.config, parts, model.dtype, data.image_shape))
            check_different(held_out)
        shape = data.image_shape or shape
        noisy = check_validation_noise(corruption, held_out, train_config.seed, shape)
        settings = run.begin(model, train_config, data, held_out)
        model.image_shape = data.image_shape
        return settings, data, held_out, noisy

    train_config, data, x_val, x_val_noisy = engine.in_all(begin)
    if world_size > 1:
        alike = marks(model, train_config, data, run)
        check_same(alike, engine.gather(list(alike.values())))
    if run.ended:
        return run.history
    engine.train_config = train_config
    engine.begin(data)
    n_steps = 0
    if run.adam:
        engine.optimizer.from_numpy(run.adam)
        n_steps = int(run.adam["t"])
    hide = True if rank > 0 else None if progress is None else not progress

    def look(first: Array) -> None:
        begin_at_data(model, data, first)
        if rank == 0:
            warn_of(model, first, train_config, data.n_steps)

    if not run.epochs:
        data.look = look
    for epoch, means, fired in epochs(engine, data, train_config, run.epochs, n_steps, hide):
        row = row_of(means, fired)
        model.image_shape = data.image_shape
        check_finite(row["loss"], model.to_numpy(), epoch)
        if rank == 0 and epoch == 0:
            warn_of_silence(model.config, row["dead"])
        if x_val is not None:
            values = evaluate(model, x_val, x_val_noisy)
            row |= {f"val_{name}": value for name, value in values.items()}

        def end_epoch(number: int = epoch + 1, row: dict[str, float] = row) -> bool:
            run.end_epoch(model, row, engine.optimizer, rank)
            return after_epoch is not None and bool(after_epoch(number, row))

        if engine.gather([engine.in_all(end_epoch)]).any():  # one that ends it ends it for all
            engine.in_all(lambda: run.end(model, rank))  # others may read the file next
            break
    if rank == 0:
        warn_of_another_l0(model.config, run.history["l0"][-1], data.n_steps)
    return run.history


def evaluate(model: Any, x: Samples, noisy: ArrayLike | None = None) -> dict[str, float]:
    """Loss terms, ``l0``, ``dead`` and ``fvu`` of a model on all samples ``x`` at once.

    Parameters
    ----------
    model : SparseAutoencoder
    x : array (n_samples, n_features), or a loader of such arrays
    noisy : array (n_samples, n_features), optional
        What the encoder sees instead of ``x``.

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError
        If an array does not suit the model, or all samples are equal.
    """
    parts = pieces_of(x, "x", model.image_shape)
    x, _ = joined(checked(model.config, parts, model.dtype, model.image_shape))
    seen = x if noisy is None else check_noisy(noisy, x)
    with model.reading():
        a = model.preactivation(model.tensor(seen))
        z = model.code(a)
        terms = loss_terms(model, model.tensor(x), a, z)
        codes, x_hat = model.array(z), model.array(model.decode(z))
    row = {name: float(value) for name, value in terms.items()}
    for name, measure in MEASURES.items():
        row[name] = measure(x, x_hat, codes, model.config.active_above)
    return row


def encode(model: Any, x: Samples, batch_size: int = 8192) -> Array:
    """Codes of samples, as a NumPy array ``(n_samples, n_latents)``.

    Parameters
    ----------
    model : SparseAutoencoder
    x : array (n_samples, n_features), or a loader of such arrays
        Images and 8-bit pixels as in `fit`. The codes of a loader's samples are in its order.
    batch_size : int >= 1
        Samples on the device at a time.

    Raises
    ------
    ValueError
        If the array does not suit the model, a loader shuffles, so that no one could tell which
        code is whose, or the batch size is not a positive integer.
    """
    sparse = has_sparse_code(model.config, training=False)

    def code(rows: Any) -> Any:
        return model.kind.sparse_code(rows)[1] if sparse else model.encode(rows)

    return joined(_in_batches(model, x, batch_size, model.config.n_latents, code))[0]


def reconstruct(model: Any, x: Samples, batch_size: int = 8192) -> Array:
    """Reconstructions of samples, as a NumPy array in the shape of the samples; see `encode`.

    Rows ``(n_samples, n_features)`` come back as rows, images as images.
    """
    width = model.config.n_features
    rows, shape = joined(_in_batches(model, x, batch_size, width, model.rebuild))
    return rows.reshape(-1, *(shape or (width,)))


def _in_batches(
    model: Autoencoder, x: Samples, batch_size: int, width: int, function: Callable[[Any], Any]
) -> Iterator[tuple[Array, Shape | None]]:
    """What the function makes of each piece of the samples, and the shape of the images in it."""
    check_batch_size(batch_size)
    parts = pieces_of(x, "x", model.image_shape, ordered=True)
    for rows, shape in checked(model.config, parts, model.dtype, model.image_shape):
        out = np.zeros((len(rows), width), model.dtype)
        with model.reading():
            for start in range(0, len(rows), batch_size):
                some = slice(start, start + batch_size)
                found = function(model.tensor(rows[some]))
                if isinstance(found, SparseCode):
                    places, values = model.array(found.places), model.array(found.values)
                    np.put_along_axis(out[some], places, values, axis=1)
                else:
                    out[some] = model.array(found)
        yield out, shape
