"""Figures of a study, one file each, drawn with Altair.

A new figure is one file ``figures/<name>.py`` with ``TITLE``, ``CAPTION`` and
``chart(study, style)``, and its name in `registry.FIGURES`.
"""
