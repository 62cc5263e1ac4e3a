"""Write a folder with a study of your own, which runs with `snakemake --cores 2`.

It holds a Snakefile that includes the workflow of the installed package, the study file
config/config.yaml with what it refers to, profiles and a README. Results appear in it too.
"""

import argparse
import shlex
from pathlib import Path

from scalebed.commands.lines import print_lines


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from scalebed.study.folder import START, shipped_studies

    add = parser.add_argument
    add("folder", type=Path, help="folder to make; the study is called like it")
    add(
        "--study",
        choices=sorted(shipped_studies()),
        default=START,
        help="study to begin with: one to edit on text that is there, or one that comes with "
        "scalebed (start)",
    )


def run(args: argparse.Namespace) -> None:
    """Write the folder and say what to do in it."""
    from scalebed.study.folder import write_folder

    write_folder(args.folder, args.study)
    folder = shlex.quote(str(args.folder))
    print_lines(f"written: {args.folder}; next: cd {folder} && snakemake --cores 2")
