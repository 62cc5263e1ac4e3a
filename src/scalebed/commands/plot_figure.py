"""Draw one figure of a study as interactive HTML, SVG and PNG."""

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--figure", required=True, help="name of the figure")
    parser.add_argument("--params", default="{}", help="options of the figure, JSON")
    parser.add_argument("--database", required=True, type=Path, help="database of the study")
    parser.add_argument(
        "--explored", type=Path, help="what was computed for it, if it shows an exploration"
    )
    parser.add_argument(
        "--out-prefix", required=True, type=Path, help="path of the files without their suffix"
    )


def run(args: argparse.Namespace) -> None:
    """Write the three files."""
    from scalebed.report.figures.registry import get_figure
    from scalebed.report.figures.render import save
    from scalebed.tables.reader import StudyDatabase

    with StudyDatabase(args.database) as study:
        params = json.loads(args.params)
        save(get_figure(args.figure), study, params, args.out_prefix, args.explored)
