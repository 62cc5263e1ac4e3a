"""Vega as one script, for pages that draw their figures without a network.

Bundling takes seconds, so a study does it once, for all its figures and its report.
"""

import functools
from pathlib import Path

from scalebed.core.files import write_text

SCRIPT = "vega.js"
"""The script's file in the folder of the figures."""


@functools.cache
def vega_lite() -> str:
    """Return the version of Vega-Lite, such as ``6.1``.

    The converter has several; the one Altair writes for is the right one.
    """
    import altair as alt

    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


@functools.cache
def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that sets ``window.vegaEmbed``."""
    import vl_convert

    script: str = vl_convert.javascript_bundle(
        "window.vegaEmbed = vegaEmbed;", vl_version=vega_lite()
    )
    # An end tag inside a script element would close it.
    return script.replace("</script", "<\\/script")


def bundle_script(out: Path) -> None:
    """Write the script."""
    write_text(out, javascript())
