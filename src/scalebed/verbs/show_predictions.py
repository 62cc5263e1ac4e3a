"""Print the predictions of a study's targets beside what was measured."""

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--database", required=True, type=Path, help="database of the study")


def run(args: argparse.Namespace) -> None:
    """Print the table and where to look further."""
    from scalebed.report.text import predictions_text
    from scalebed.store.reader import StudyDatabase

    with StudyDatabase(args.database) as study:
        print(predictions_text(study))
    report = args.database.with_name("report.html")
    if report.is_file():
        print(f"report    {report}")
    print(f"database  {args.database}")
