"""Runs that were trained elsewhere, read into the forms of this package."""
