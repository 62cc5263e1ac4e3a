"""The columns of every table of a study, with units and meanings."""
