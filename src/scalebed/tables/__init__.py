"""The tables of a study: read from the records of its cells, written to one DuckDB file.

This is the only package that writes a database. `tabulate` turns the records of the cells into
parquet tables, `database` joins them with the fits, `reader` opens the result read-only.
"""
