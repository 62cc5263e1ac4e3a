"""Posterior of a loss law whose two exponents are alike: a grid over them, all else in closed form.

`fit_posterior` is what others call; docs/uncertainty.md says what is believed beforehand and why.
"""

from scalebed.fit.posterior.beliefs import Beliefs
from scalebed.fit.posterior.between import Scatters, known_scatter
from scalebed.fit.posterior.draw import Draws
from scalebed.fit.posterior.grid import Posterior, fit_posterior
from scalebed.fit.posterior.points import Points

__all__ = ["Beliefs", "Draws", "Points", "Posterior", "Scatters", "fit_posterior", "known_scatter"]
