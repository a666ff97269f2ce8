"""Models of other packages, read and written, each in its own layout.

What makes the code and the reconstruction is carried over. What only training uses is not in those
files: weights of penalties, `AuxK` and its counts, unit norm, weight decay; `groups` are where the
layout has a place for them. A model that is read has the defaults there, and no `L1`.
"""

from saebook.interop.arrays import from_arrays, to_arrays
from saebook.interop.dictionary_learning import from_dictionary_learning, to_dictionary_learning
from saebook.interop.layouts import LAYOUTS, read, recognize, write
from saebook.interop.openai import from_openai, to_openai
from saebook.interop.openmoss import from_openmoss, to_openmoss
from saebook.interop.overcomplete import from_overcomplete, to_overcomplete
from saebook.interop.saelens import from_saelens, to_saelens
from saebook.interop.sparsify import from_sparsify, to_sparsify

# In the order of the API page.
__all__ = [  # noqa: RUF022
    "LAYOUTS",
    "read",
    "write",
    "recognize",
    "to_saelens",
    "from_saelens",
    "to_dictionary_learning",
    "from_dictionary_learning",
    "to_sparsify",
    "from_sparsify",
    "to_overcomplete",
    "from_overcomplete",
    "to_openai",
    "from_openai",
    "to_openmoss",
    "from_openmoss",
    "to_arrays",
    "from_arrays",
]
