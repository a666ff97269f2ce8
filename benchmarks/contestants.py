"""Who is measured: this package, other ways to train the same model, and the bare matrix products.

Frameworks are imported by the contestants, so that one can be measured where the other is missing.
"""

from dataclasses import replace
from functools import cache

import numpy as np

from saebook import TrainConfig
from saebook.start import init_params
from saebook.widening import widened

DEFAULT_BETA_2 = 0.95  # where `fit` is not given a rate, which here it is

# This package


def _fit(framework, work, x, n_epochs, stamp):
    from importlib import import_module

    package = import_module(f"saebook.{framework}")
    model = package.SparseAutoencoder(work.config, device="cpu")
    decay = work.updates // 2 if work.decay else 0
    init = "auto" if work.decay else "given"  # where steps are compared, all begin alike
    beta_2 = DEFAULT_BETA_2 if work.decay else 0.999
    training = TrainConfig(
        n_epochs, work.batch_size, work.learning_rate, beta_2=beta_2, decay_steps=decay, init=init
    )
    package.fit(
        model, x, training, progress=False,
        after_epoch=lambda *_: stamp(
            lambda x: package.reconstruct(model, x), lambda x: package.encode(model, x) != 0
        ),
    )  # fmt: skip


def saebook_pytorch(*arguments):
    return _fit("pytorch", *arguments)


def saebook_tensorflow(*arguments):
    return _fit("tensorflow", *arguments)


def _fit_narrow_first(framework, work, x, n_epochs, stamp):
    """Four fifths of the updates with an eighth of the latents, the rest with all of them.

    The rate is steady; then it falls, from half of it, as the rate of 4,096 latents is by default
    half of that of 512.
    """
    from importlib import import_module

    package = import_module(f"saebook.{framework}")
    cut = 4 * work.updates // 5 * work.batch_size
    narrow = replace(work.config, n_latents=work.config.n_latents // 8)
    model = package.SparseAutoencoder(narrow, device="cpu")
    first = TrainConfig(n_epochs, work.batch_size, work.learning_rate, beta_2=DEFAULT_BETA_2)
    package.fit(model, x[:cut], first, progress=False)
    model = widened(model, work.config.n_latents, x[:cut])
    then = replace(
        first,
        learning_rate=work.learning_rate / 2,
        decay_steps=n_epochs * -(-len(x[cut:]) // work.batch_size),
    )
    package.fit(model, x[cut:], then, progress=False)
    stamp(lambda x: package.reconstruct(model, x), lambda x: package.encode(model, x) != 0)


def narrow_first_pytorch(*arguments):
    return _fit_narrow_first("pytorch", *arguments)


def narrow_first_tensorflow(*arguments):
    return _fit_narrow_first("tensorflow", *arguments)


# The machine's own ceiling: the five matrix products of a step, and nothing else


def pytorch_products(work, x, n_epochs, stamp):
    import torch

    n, m, b = work.config.n_features, work.config.n_latents, work.batch_size
    x, z = torch.rand(b, n), torch.rand(b, m)
    W_enc, W_dec = torch.rand(n, m), torch.rand(m, n)
    out_z, out_x, out_enc, out_dec = map(torch.empty_like, (z, x, W_enc, W_dec))
    for _ in range(n_epochs):
        for _ in range(-(-work.n_samples // b)):
            torch.mm(x, W_enc, out=out_z)
            torch.mm(z, W_dec, out=out_x)
            torch.mm(z.T, x, out=out_dec)
            torch.mm(x, W_dec.T, out=out_z)
            torch.mm(x.T, z, out=out_enc)
        stamp(None)


@cache
def _tensorflow_products():
    import tensorflow as tf

    @tf.function(autograph=False)
    def products(x, z, W_enc, W_dec):
        made = (
            tf.matmul(x, W_enc),
            tf.matmul(z, W_dec),
            tf.matmul(z, x, transpose_a=True),
            tf.matmul(x, W_dec, transpose_b=True),
            tf.matmul(x, z, transpose_a=True),
        )
        return [product[0, 0] for product in made]  # asked for, so that none is left out

    return products


def tensorflow_products(work, x, n_epochs, stamp):
    import tensorflow as tf

    n, m, b = work.config.n_features, work.config.n_latents, work.batch_size
    shapes = ((b, n), (b, m), (n, m), (m, n))
    with tf.device("cpu:0"):
        given = [tf.random.stateless_uniform(shape, (0, i)) for i, shape in enumerate(shapes)]
        for _ in range(n_epochs):
            for _ in range(-(-work.n_samples // b)):
                _tensorflow_products()(*given)
            stamp(None)


# Other ways to train the same model: sigmoids, squared error, KL penalty


def _torch_model(config):
    import torch
    from torch import nn

    params = {k: torch.tensor(v, dtype=torch.float32) for k, v in init_params(config).items()}
    encoder = nn.Sequential(nn.Linear(config.n_features, config.n_latents), nn.Sigmoid())
    decoder = nn.Sequential(nn.Linear(config.n_latents, config.n_features), nn.Sigmoid())
    with torch.no_grad():
        for part, w, b in ((encoder, "W_enc", "b_enc"), (decoder, "W_dec", "b_dec")):
            part[0].weight.copy_(params[w].T)
            part[0].bias.copy_(params[b])
    return encoder, decoder


def _torch_kl(sparsity, z):
    import torch

    rho, rho_hat = sparsity.rho, z.mean(dim=0)
    kl = rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
    return sparsity.beta * kl.sum()


def _torch_loop(work, loader, n_epochs, stamp):
    import torch

    encoder, decoder = _torch_model(work.config)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=work.learning_rate)

    @torch.no_grad()
    def rebuild(x):
        return decoder(encoder(torch.as_tensor(x))).numpy()

    for _ in range(n_epochs):
        for (batch,) in loader:
            z = encoder(batch)
            error = ((decoder(z) - batch) ** 2).sum(dim=1).mean()
            optimizer.zero_grad()
            (error + _torch_kl(work.config.sparsity, z)).backward()
            optimizer.step()
        stamp(rebuild)


def plain_pytorch(work, x, n_epochs, stamp):
    """A tidy loop over a TensorDataset, as a tutorial has it."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.as_tensor(x))
    loader = DataLoader(data, work.batch_size, shuffle=True, generator=generator)
    _torch_loop(work, loader, n_epochs, stamp)


def document_pytorch(work, x, n_epochs, stamp):
    """The source document's way: every image transformed anew, alone, each time it is asked for.

    Its loss is mended, or nothing would be learned; its transform is that of torchvision's
    ``ToTensor``, which makes a float tensor of a picture of bytes and divides it by 255.
    """
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    pictures = (x.reshape(-1, 28, 28) * 255).round().astype(np.uint8)

    class Digits(Dataset):
        def __len__(self):
            return len(pictures)

        def __getitem__(self, index):
            picture = Image.fromarray(pictures[index])
            tensor = torch.from_numpy(np.array(picture, copy=True))[None].contiguous()
            return (tensor.to(torch.float32).div(255).view(-1),)

    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(Digits(), work.batch_size, shuffle=True, generator=generator)
    _torch_loop(work, loader, n_epochs, stamp)


def _keras_layers(config):
    import keras

    params = init_params(config)
    encoder = keras.layers.Dense(config.n_latents, activation="sigmoid")
    decoder = keras.layers.Dense(config.n_features, activation="sigmoid")
    encoder.build((None, config.n_features))
    decoder.build((None, config.n_latents))
    encoder.set_weights([params["W_enc"], params["b_enc"]])
    decoder.set_weights([params["W_dec"], params["b_dec"]])
    return encoder, decoder


def _keras_kl(sparsity, z):
    import tensorflow as tf

    rho, rho_hat = sparsity.rho, tf.reduce_mean(z, axis=0)
    kl = rho * tf.math.log(rho / rho_hat) + (1 - rho) * tf.math.log((1 - rho) / (1 - rho_hat))
    return sparsity.beta * tf.reduce_sum(kl)


def keras_fit(work, x, n_epochs, stamp):
    """`keras.Model.fit`, with the penalty as a loss that the model adds."""
    import keras
    import tensorflow as tf

    encoder, decoder = _keras_layers(work.config)

    class Autoencoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = encoder, decoder

        def call(self, x):
            z = self.encoder(x)
            self.add_loss(_keras_kl(work.config.sparsity, z))
            return self.decoder(z)

    def error(x, x_hat):
        return tf.reduce_sum((x_hat - x) ** 2, axis=1)

    def rebuild(x):
        return decoder(encoder(x)).numpy()

    with tf.device("cpu:0"):
        model = Autoencoder()
        model.compile(keras.optimizers.Adam(work.learning_rate), error)
        after = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: stamp(rebuild))
        model.fit(x, x, work.batch_size, epochs=n_epochs, verbose=0, callbacks=[after])


def document_tensorflow(work, x, n_epochs, stamp):
    """The source document's way: an eager tape, the encoder called a second time for the penalty.

    Its target is mended, and its last, partial batch is kept.
    """
    import keras
    import tensorflow as tf

    encoder, decoder = _keras_layers(work.config)
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]
    with tf.device("cpu:0"):
        optimizer = keras.optimizers.Adam(work.learning_rate)
        data = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x), seed=0).batch(work.batch_size)
        for _ in range(n_epochs):
            for batch in data:
                with tf.GradientTape() as tape:
                    x_hat = decoder(encoder(batch))
                    z = encoder(batch)
                    error = tf.reduce_mean(tf.reduce_sum((x_hat - batch) ** 2, axis=1))
                    loss = error + _keras_kl(work.config.sparsity, z)
                optimizer.apply_gradients(
                    zip(tape.gradient(loss, variables), variables, strict=True)
                )
            stamp(lambda x: decoder(encoder(x)).numpy())
