"""Compare two data sets or recipes at a scale."""
