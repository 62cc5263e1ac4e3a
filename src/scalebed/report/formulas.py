"""Fitted laws as formulas with numbers."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from scalebed.laws import get_law
from scalebed.report.numbers import MINUS, significant
from scalebed.tables.reader import StudyDatabase

_GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "eps": "ε",
    "eta": "η",
    "kappa": "κ",
    "lambda": "λ",
    "sigma": "σ",
}
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*'?|\d+\.?\d*(?:e\d+)?|\^|[-+*/=(),\[\]]|\s+")
_WORDS = ("exp", "log", "chance")
# A cell that takes nearly all of its own fitted value.
_DECISIVE = """
SELECT i.fit, i.leverage, c.* FROM influence i JOIN cells c USING (cell)
WHERE i.leverage > 0.99 ORDER BY i.fit, i.leverage DESC, c.cell
"""
_FITS = """
SELECT * FROM fits ORDER BY kind DESC,
    response = CASE kind WHEN 'loss' THEN $yardstick ELSE 'average' END DESC, response, dataset
"""


def symbol(name: str) -> Markup:
    """Return the symbol of a parameter; ``M_star`` becomes M*."""
    if name.endswith("_star"):
        return Markup("<i>{}</i>*").format(symbol(name.removesuffix("_star")).striptags())
    head, _, index = name.partition("_")
    sub = Markup("<sub>{}</sub>").format(index) if index else ""
    return Markup("<i>{}</i>{}").format(_GREEK.get(head, head), sub)


def formula_html(formula: str, values: Mapping[str, float] | None = None) -> Markup:
    """Return a law's formula as HTML, with symbols or with `values` in their place.

    Parameters
    ----------
    formula
        As laws write it: ``L = E + A N^-alpha``, a space for a product.
    values
        Numbers by name of parameter.
    """
    # Letters that are no parameter and no word of mathematics are inputs or the response.
    return _markup(_TOKEN.findall(formula), values)


def _markup(tokens: list[str], values: Mapping[str, float] | None) -> Markup:
    pieces: list[Markup] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token == "^":
            stop = _exponent_end(tokens, index + 1)
            inner = tokens[index + 1 : stop]
            if inner[0] == "(":
                inner = inner[1:-1]
            pieces.append(Markup("<sup>{}</sup>").format(_markup(inner, values)))
            index = stop
            continue
        space = token.isspace()
        pieces.append(_space(tokens, index, values) if space else _token(token, values))
        index += 1
    return Markup("").join(pieces)


def _exponent_end(tokens: list[str], start: int) -> int:
    """Where an exponent ends: after a sign, one word, or everything in its parentheses."""
    if tokens[start] == "-":
        return _exponent_end(tokens, start + 1)
    depth = 0
    for index in range(start, len(tokens)):
        depth += (tokens[index] == "(") - (tokens[index] == ")")
        if depth == 0:
            return index + 1
    return len(tokens)


def _token(token: str, values: Mapping[str, float] | None) -> Markup:
    if values is not None and token in values:
        return Markup("<b>{}</b>").format(significant(values[token]))
    if token == "-":
        return Markup(MINUS)
    if token in _WORDS or not token[0].isalpha():
        return escape(token)
    return symbol(token)


def _space(tokens: list[str], index: int, values: Mapping[str, float] | None) -> Markup:
    """Return a dot between two factors if one of them became a number, else a space."""
    if values is None or index == 0 or index + 1 == len(tokens):
        return Markup(" ")
    before, after = tokens[index - 1], tokens[index + 1]
    factors = all(re.fullmatch(r"[A-Za-z_]+", token) for token in (before, after))
    factors &= before not in _WORDS
    return Markup(" · ") if factors and (before in values or after in values) else Markup(" ")


def raised(text: str) -> Markup:
    """Return a unit or a phrase with ``^word`` set as a superscript."""
    pieces = re.split(r"\^(\w+)", text)
    return Markup("").join(
        Markup("<sup>{}</sup>").format(_GREEK.get(piece, piece)) if index % 2 else escape(piece)
        for index, piece in enumerate(pieces)
    )


def fitted(study: StudyDatabase) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the fits of the yardstick loss and the average error, and all other fits."""
    yardstick = study.yardstick
    parameters: dict[str, list[dict[str, Any]]] = {}
    for row in study.rows("SELECT * FROM fit_parameters"):
        parameters.setdefault(row["fit"], []).append(row)
    decisive: dict[str, list[dict[str, Any]]] = {}
    for row in study.rows(_DECISIVE):
        decisive.setdefault(row["fit"], []).append(row)
    headline: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for fit in study.rows(_FITS, {"yardstick": yardstick}):
        law = get_law(fit["law"])
        known = {row["parameter"]: row for row in parameters.get(fit["fit"], [])}
        values = {name: row["value"] for name, row in known.items() if row["value"] is not None}
        fit["formula"] = formula_html(law.formula)
        fit["formula_numbers"] = (
            formula_html(law.formula, values) if fit["status"] == "fitted" else None
        )
        fit["source"] = law.source
        fit["decisive"] = decisive.get(fit["fit"], [])
        fit["rows"] = [
            {**known[item.name], "symbol": symbol(item.name), "meaning": item.meaning}
            for item in (*law.parameters, *law.derived)
            if item.name in known
        ]
        main = fit["response"] == (yardstick if fit["kind"] == "loss" else "average")
        (headline if main else others).append(fit)
    return headline, others
