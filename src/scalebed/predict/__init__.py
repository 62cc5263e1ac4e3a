"""Stages of a study or a table: laws fitted, their uncertainty drawn, carried to targets."""
