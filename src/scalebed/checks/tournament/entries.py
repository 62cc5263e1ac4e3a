"""Who takes part in a tournament: every law of the registry with every objective."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scalebed.fit.options import OBJECTIVES, Options, Prior
from scalebed.fit.posterior.centre import LAW
from scalebed.laws import get_law, names_of

# The exponents published for language models lie within about two of these sd of the mean.
WEAK_PRIOR = Prior(0.35, 0.1)
"""Prior on either exponent of Chinchilla's law: what keeps it from running away on few sizes."""

POSTERIOR = "posterior"
"""Stands where others name an objective."""

BASELINE = "largest fitted"
"""The error of the fitted model of most compute, as a prediction: no law at all."""


@dataclass(frozen=True)
class Entry:
    """A law with an objective, or a posterior.

    Attributes
    ----------
    law : str
        Name in the registry, or `BASELINE`.
    objective : str
        For tables; "prior" is in it where there is one, and `POSTERIOR` is the posterior.
    options : Options
    route : {"loss", "two-step", "direct", "baseline"}
        How the response is reached: by a loss law, by a loss law and an error law, by a direct
        law, or by none.
    posterior : bool
        Whether the law is no fit but the middle of the posterior of its softly tied exponents; the
        options then hold a prior of alpha at most.
    """

    law: str
    objective: str
    options: Options = field(default_factory=Options)
    route: str = "loss"
    posterior: bool = False

    @property
    def parameters(self) -> int:
        """Number of parameters of the law, those of a loss law before it not counted."""
        return 0 if self.route == "baseline" else len(get_law(self.law).parameters)

    @property
    def label(self) -> str:
        """Law and objective in words."""
        return f"{self.law} ({self.objective})" if self.route == "loss" else self.law


def posterior_entry(options: Options | None = None) -> Entry:
    """Return the posterior of the softly tied law, by default without a prior of alpha."""
    options = options or Options()
    usual = options == Options()
    said = POSTERIOR if usual else f"{POSTERIOR}, the study's options"
    return Entry(LAW, said, options, posterior=True)


def loss_entries() -> tuple[Entry, ...]:
    """Return all loss laws with all objectives, Chinchilla's with a weak prior, the posterior."""
    return tuple(_loss_entries())


def _loss_entries() -> Iterator[Entry]:
    for name in names_of("loss"):
        for objective in OBJECTIVES:
            yield Entry(name, objective, Options(objective=objective))
    if LAW in names_of("loss"):
        priors = {"alpha": WEAK_PRIOR, "beta": WEAK_PRIOR}
        # The scatter of the published runs, for all splits alike.
        options = Options(objective="log_sse", scatter=0.01, priors=priors)
        yield Entry(LAW, "log_sse, prior", options)
        yield posterior_entry()


def error_entries(options: Options | None = None) -> tuple[Entry, ...]:
    """Return error laws after the study's loss law, direct laws, and the baseline."""
    options = options or Options()
    two = (Entry(name, options.objective, options, "two-step") for name in names_of("error"))
    one = (Entry(name, options.objective, options, "direct") for name in names_of("direct"))
    return (*two, *one, Entry(BASELINE, "none", route="baseline"))
