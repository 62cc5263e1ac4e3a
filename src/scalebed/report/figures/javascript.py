"""Vega as one script, for pages that draw their figures without a network."""

import functools

import altair as alt
import vl_convert

# The converter has several Vega-Lite versions; the one Altair writes for is the right one.
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


@functools.cache
def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that sets ``window.vegaEmbed``."""
    script: str = vl_convert.javascript_bundle(
        "window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE
    )
    return script
