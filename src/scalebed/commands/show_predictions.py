"""Print the predictions of a study beside what was measured, or the ladder of a search.

Cells that failed or diverged come last, by name and with their reasons. They are data of the study
and no failure of it, so the exit status is 0 all the same.
"""

import argparse
from pathlib import Path

from scalebed.commands.lines import print_lines


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--database", required=True, type=Path, help="database of the study")
    parser.add_argument(
        "--full", action="store_true", help="say in full what numbers and evidence rest on"
    )


def run(args: argparse.Namespace) -> None:
    """Print the table and where to look further."""
    from scalebed.report.search import search_text
    from scalebed.report.text import predictions_text, unfinished_text
    from scalebed.tables.reader import StudyDatabase

    ladder = args.database.parent / "search" / "ladder.yaml"
    with StudyDatabase(args.database) as study:
        searched = study.facts().get("kind") == "search"
        print(search_text(study) if searched else predictions_text(study, args.full))
        unfinished = unfinished_text(study)
    if searched and ladder.is_file():
        print_lines(f"ladder    {ladder}")
    report = args.database.with_name("report.html")
    if report.is_file():
        print_lines(f"report    {report}")
    print_lines(f"database  {args.database}")
    if unfinished:
        print(f"\n{unfinished}")
