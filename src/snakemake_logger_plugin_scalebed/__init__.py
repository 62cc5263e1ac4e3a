"""Where Snakemake looks for the logger ``scalebed``, which profiles/default asks for."""

from scalebed.commands.progress.handler import LogHandler

__all__ = ["LogHandler"]
