"""The formats in which runs come in besides a plain table, one module each: see `rows`."""
