"""Whether what a study file says of fits names laws and parameters that there are."""

from collections.abc import Iterable

from scalebed.core.errors import ScalebedError
from scalebed.laws import get_law, names_of
from scalebed.study.fit_sections import Fit, FitOptions, options_json


def check_laws(fit: Fit) -> None:
    """Check that laws exist and that the options of their fits suit them.

    Raises
    ------
    ValueError
        Naming the key, the value and what was expected.
    """
    kinds: dict[str, tuple[str, ...]] = {"loss": ("loss",), "error": ("error", "direct")}
    for which, wanted in kinds.items():
        name, given = getattr(fit, f"{which}_law"), getattr(fit, f"{which}_options")
        known([name], names_of(wanted), f"fit.{which}_law", "law")
        if given != FitOptions():
            _check_options(name, given, f"fit.{which}_options")
    if fit.interval == "posterior" and not fit.softly_tied:
        raise ValueError(
            "fit.interval is posterior, which is for law chinchilla, equal weights and a prior of "
            "alpha at the most; expected bootstrap, or those"
        )
    if fit.beside is not None:
        known([fit.beside.loss_law], names_of(("loss",)), "fit.beside.loss_law", "law")
    if fit.pool is not None:
        law = get_law(fit.beside.loss_law if fit.beside else fit.loss_law)
        weights = {law.parameters[i].name for i in law.weights}
        names = [p.name for p in law.parameters if p.name not in weights]
        known(fit.pool.parameters, names, "fit.pool.parameters", f"parameter of law {law.name}")


def _check_options(law: str, given: FitOptions, where: str) -> None:
    # Snakemake reads the study in every job, so NumPy is imported for options only.
    from scalebed.fit.options import Options

    try:
        Options.from_json(options_json(given)).check(get_law(law))
    except ScalebedError as error:
        raise ValueError(f"{where}: {error}") from error


def known(names: Iterable[str] | None, there: Iterable[str], where: str, what: str) -> None:
    """Raise ValueError if one of `names` is not among the known."""
    for name in names or ():
        if name not in there:
            listing = ", ".join(sorted(there)) or "none"
            raise ValueError(f"{where}: no {what} is called {name!r}; there is {listing}")
