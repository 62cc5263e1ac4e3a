"""Fits of scaling laws, their certificates and their intervals.

>>> import numpy as np
>>> from scalebed.fit import fit_law
>>> from scalebed.laws import get_law
>>> params = np.array([1e6, 2e6, 4e6, 8e6, 1e6])
>>> tokens = params * np.array([20, 20, 20, 20, 320])
>>> loss = 1.8 + 160 * params**-0.27 + 290 * tokens**-0.27
>>> round(fit_law(get_law("tied"), (params, tokens), loss).parameters["alpha"], 6)
0.27
"""

from __future__ import annotations

from scalebed.fit.certificate import Certificate
from scalebed.fit.options import Options, Prior
from scalebed.fit.refit import Optima, refit
from scalebed.fit.result import FitRefusedError, FitResult, fit_law

__all__ = [
    "Certificate",
    "FitRefusedError",
    "FitResult",
    "Optima",
    "Options",
    "Prior",
    "fit_law",
    "refit",
]
