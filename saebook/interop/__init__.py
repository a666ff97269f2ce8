"""Models of SAELens and of dictionary_learning: their folders, read and written.

What makes the code and the reconstruction is carried over. What only training uses is not in those
folders: weights of penalties, `AuxK` and its counts, unit norm, weight decay; `groups` are where
the layout has a place for them. A model that is read has the defaults there, and no `L1`.
"""

from saebook.interop.dictionary_learning import from_dictionary_learning, to_dictionary_learning
from saebook.interop.saelens import from_saelens, to_saelens

# In the order of the API page.
__all__ = [  # noqa: RUF022
    "to_saelens",
    "from_saelens",
    "to_dictionary_learning",
    "from_dictionary_learning",
]
