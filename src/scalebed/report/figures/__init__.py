"""Figures of a study, one file each, drawn with Altair.

A new figure is one file ``figures/<name>.py`` with ``TITLE``, ``CAPTION`` and
``chart(study, style)``, and its name in `scalebed.study.figures`. Figures fit nothing: what one of
them shows beside the database is an exploration of its name (`scalebed.checks.explore`), whose
options it has as ``EXPLORED`` and whose table ``chart(study, style, explored)`` takes.
"""
