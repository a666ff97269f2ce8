"""What a layer of a Keras model says of a batch, for `saebook.activations`."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from saebook._types import Array


def layer(model: keras.Model, name: str) -> Callable[[Any], Array]:
    """A function from a batch to the output of one layer, padding left out.

    Parameters
    ----------
    model : keras.Model
        Functional or sequential, and built.
    name : str
        Of a layer in it, as ``[layer.name for layer in model.layers]`` has them.

    Returns
    -------
    function
        From a batch, which is one argument, a tuple or list of them or a mapping of names to them,
        to an array: ``(n_rows, n_features)`` if a mapping has an ``attention_mask``, of the
        positions where it is not 0, and the shape that the layer gives otherwise. Of a layer that
        gives several tensors the first counts. The model is run without gradients and in
        inference mode.

    Raises
    ------
    ValueError
        If the model has no such layer, or is one whose layers are not known beforehand.
    """
    names = [own.name for own in model.layers]
    if name not in names:
        near = get_close_matches(str(name), names, 3) or names[:3]
        raise ValueError(f"name must be that of a layer, such as {', '.join(near)}, got {name!r}.")
    try:
        output = model.get_layer(name).output
        part = keras.Model(
            model.inputs, output if not isinstance(output, list | tuple) else output[0]
        )
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"model must be functional or sequential and built, got {type(model).__name__}; "
            "write a function of your own that returns the activations of a batch."
        ) from error

    def read(batch: Any) -> Array:
        mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        if isinstance(batch, list | tuple) and len(batch) == 1:
            batch = batch[0]
        found = part(dict(batch) if isinstance(batch, Mapping) else batch, training=False)
        if mask is not None:
            found = tf.boolean_mask(found, tf.cast(mask, bool))
        return np.asarray(found)

    return read
