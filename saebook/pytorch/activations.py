"""What a layer of a PyTorch module says of a batch, for `saebook.activations`."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import torch

from saebook._types import Array


def layer(model: torch.nn.Module, name: str) -> Callable[[Any], Array]:
    """A function from a batch to the output of one layer, padding left out.

    Parameters
    ----------
    model : torch.nn.Module
        Any, such as one of Hugging Face's. Batches go to where its parameters are.
    name : str
        Of a module in it, as ``model.named_modules()`` has them: ``"encoder.layer.3"``.

    Returns
    -------
    function
        From a batch, which is one argument, a tuple or list of them or a mapping of names to them,
        to an array: ``(n_rows, n_features)`` if a mapping has an ``attention_mask``, of the
        positions where it is not 0, and the shape that the layer gives otherwise. Of a layer that
        gives several tensors the first counts. The model is run without gradients and in
        evaluation mode, and left in the mode that it was in.

    Raises
    ------
    ValueError
        If the model has no such module; when called, if the layer did not run exactly once.
    """
    modules = dict(model.named_modules())
    if not name or name not in modules:
        near = get_close_matches(str(name), modules, 3) or [n for n in modules if n][:3]
        raise ValueError(f"name must be that of a module, such as {', '.join(near)}, got {name!r}.")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))

    def here(value: Any) -> Any:
        return value.to(device) if hasattr(value, "to") else value

    def read(batch: Any) -> Array:
        seen: list[torch.Tensor] = []

        def keep(_: Any, __: Any, output: Any) -> None:
            seen.append(output if isinstance(output, torch.Tensor) else output[0])

        modes = {module: module.training for module in model.modules()}
        hook = modules[name].register_forward_hook(keep)
        try:
            model.eval()
            with torch.no_grad():
                if isinstance(batch, Mapping):
                    model(**{key: here(value) for key, value in batch.items()})
                else:
                    model(*map(here, batch if isinstance(batch, list | tuple) else [batch]))
        finally:
            hook.remove()
            for module, mode in modes.items():
                module.training = mode
        if len(seen) != 1:
            raise ValueError(
                f"name must be that of a layer that runs once, {name!r} ran {len(seen)} times."
            )
        found = seen[0].detach()
        mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        if mask is not None:
            found = found[here(torch.as_tensor(mask)).bool()]
        return found.float().cpu().numpy() if found.dtype != torch.float64 else found.cpu().numpy()

    return read
