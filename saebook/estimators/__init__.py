"""scikit-learn's faces of the sparse autoencoder: transformer, outlier detector, denoiser.

Training runs in PyTorch or TensorFlow. What is fitted is NumPy, and so is all that a fitted
estimator computes: it can be pickled, and used, where neither framework is installed.
"""

from saebook.estimators.denoiser import SAEDenoiser
from saebook.estimators.outliers import SAEOutlierDetector
from saebook.estimators.transformer import SAETransformer

# In the order of the API page.
__all__ = ["SAETransformer", "SAEOutlierDetector", "SAEDenoiser"]  # noqa: RUF022
