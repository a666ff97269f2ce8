"""Contestants that take the same samples from a loader: what that costs beside an array."""

from functools import cache
from importlib import import_module
from tempfile import mkdtemp

from saebook import TrainConfig, mnist
from saebook.data import write_mnist


def _fit(framework, work, x, n_epochs, stamp):
    package = import_module(f"saebook.{framework}")
    model = package.SparseAutoencoder(work.config, device="cpu")
    training = TrainConfig(n_epochs, work.batch_size, work.learning_rate)
    package.fit(
        model, x, training, progress=False,
        after_epoch=lambda *_: stamp(lambda x: package.reconstruct(model, x)),
    )  # fmt: skip


@cache
def _torchvision():
    from torchvision import datasets, transforms

    folder = mkdtemp()
    write_mnist(folder)
    return datasets.MNIST(folder, transform=transforms.ToTensor())


def _torch_loader(data, work, workers=0):
    from torch.utils.data import DataLoader, Subset

    part = Subset(data, range(work.n_samples))
    return DataLoader(part, work.batch_size, num_workers=workers, persistent_workers=workers > 0)


def batches(work, x, n_epochs, stamp):
    """The array cut into a list of batches: the loader's order without the loader."""
    rows = [x[i : i + work.batch_size] for i in range(0, len(x), work.batch_size)]
    return _fit("pytorch", work, rows, n_epochs, stamp)


def torchvision(work, x, n_epochs, stamp):
    return _fit("pytorch", work, _torch_loader(_torchvision(), work), n_epochs, stamp)


def torchvision_two_workers(work, x, n_epochs, stamp):
    return _fit("pytorch", work, _torch_loader(_torchvision(), work, 2), n_epochs, stamp)


def tensor_data_set(work, x, n_epochs, stamp):
    import torch
    from torch.utils.data import TensorDataset

    data = TensorDataset(torch.as_tensor(x))
    return _fit("pytorch", work, _torch_loader(data, work), n_epochs, stamp)


def _pipeline(work):
    """As one writes it with Keras: 8-bit images and labels, scaled in the pipeline."""
    import tensorflow as tf

    digits = mnist(flat=False, dtype="uint8")
    images, labels = digits.x_train[: work.n_samples], digits.y_train[: work.n_samples]
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    return pairs, lambda image, label: (tf.cast(image, tf.float32) / 255.0, label)


def tf_data(work, x, n_epochs, stamp):
    pairs, scale = _pipeline(work)
    given = pairs.map(scale).batch(work.batch_size).prefetch(2)
    return _fit("tensorflow", work, given, n_epochs, stamp)


def tf_data_batched_first(work, x, n_epochs, stamp):
    pairs, scale = _pipeline(work)
    given = pairs.batch(work.batch_size).map(scale).prefetch(2)
    return _fit("tensorflow", work, given, n_epochs, stamp)
