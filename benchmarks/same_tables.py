"""Tell whether two runs of a study have the same numbers, to the last bit.

    python benchmarks/same_tables.py results/studies/testbed ELSEWHERE/results/studies/testbed

Every parquet file of the folders ``tables``, ``fits`` and ``checks`` is compared column by column,
NaN equals NaN; rows in another order are said to be so. What says which code made a table (its
metadata) is left out, the numbers are the point. Ends with 1 where something differs.
"""

import argparse
import sys
from pathlib import Path

import pandas
import pyarrow.parquet

FOLDERS = ("tables", "fits", "checks")


def main() -> int:
    """Compare and print a line a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("one", type=Path, help="folder of a study")
    parser.add_argument("other", type=Path, help="folder of the same study, made by other code")
    parser.add_argument("--ignore", nargs="*", default=[], help="TABLE.COLUMN: times, for one")
    args = parser.parse_args()
    names = sorted(
        {
            f"{folder}/{file.name}"
            for root in (args.one, args.other)
            for folder in FOLDERS
            for file in (root / folder).glob("*.parquet")
        }
    )
    if not names:
        parser.error(f"no table in {args.one} nor in {args.other}")
    different = 0
    for name in names:
        verdict = compare(args.one / name, args.other / name, set(args.ignore))
        different += not verdict.startswith(("same", "ignored"))
        print(f"{name:40} {verdict}")
    print(f"{len(names)} tables, {different} different")
    return int(different > 0)


def compare(one: Path, other: Path, ignored: set[str]) -> str:
    """Return how two tables differ, in one line."""
    for path in (one, other):
        if not path.is_file():
            return f"missing: {path}"
    a, b = (pyarrow.parquet.read_table(path) for path in (one, other))
    columns = [name for name in a.column_names if f"{one.stem}.{name}" not in ignored]
    if set(a.column_names) != set(b.column_names):
        return f"columns {sorted(set(a.column_names) ^ set(b.column_names))} are in one only"
    if a.num_rows != b.num_rows:
        return f"{a.num_rows} and {b.num_rows} rows"
    wrong = [name for name in columns if not _same(a.column(name), b.column(name))]
    if wrong:
        if _sorted(a, columns).equals(_sorted(b, columns)):
            return f"same rows in another order: {a.num_rows} rows x {len(columns)} columns"
        return f"different: {', '.join(wrong)}"
    return f"same: {a.num_rows} rows x {len(columns)} columns"


def _sorted(table: pyarrow.Table, columns: list[str]) -> pandas.DataFrame:
    return table.select(columns).to_pandas().sort_values(columns, ignore_index=True)


def _same(a: pyarrow.ChunkedArray, b: pyarrow.ChunkedArray) -> bool:
    # Pandas' equality takes NaN for equal and looks into lists.
    return a.type == b.type and a.to_pandas().equals(b.to_pandas())


if __name__ == "__main__":
    sys.exit(main())
