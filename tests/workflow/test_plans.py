"""Every shipped study expands to the jobs it should, without running anything."""

from collections import Counter
from pathlib import Path

import forked_snakemake
import pytest
from project import REPOSITORY, Project

from scalebed.core.trunks import legs
from scalebed.plan import rule_params
from scalebed.study.figures import FIGURES
from scalebed.study.load import load_any
from scalebed.study.trained import Study


def shipped() -> list[Path]:
    """Return every study file of the repository."""
    studies = sorted((REPOSITORY / "config/studies").glob("*.yaml"))
    trained = [path for path in studies if isinstance(load_any(path), Study)]
    return [REPOSITORY / "config/config.yaml", *trained]


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_plan_of_a_shipped_study(path: Path, project: Project) -> None:
    study = load_any(path)
    cells = len(study.cells())
    validation = {spec.corpus for spec in study.validation.values()}
    pairs = {
        (spec.tokenizer, corpus)
        for spec in study.datasets.values()
        for corpus in (*spec.sources, *validation)
    }
    pieces = legs(rule_params.cell(study, cell) for cell in study.cells())
    needed = {corpus for _, corpus in pairs}
    needed |= {corpus for spec in study.tokenizers.values() for corpus in spec.corpora}
    expected = Counter(
        extract_corpus=len(needed | ({study.tasks.corpus} if study.tasks else set()) - {None}),
        train_tokenizer=len({tokenizer for tokenizer, _ in pairs}),
        tokenize_corpus=len(pairs),
        build_dataset=len({cell.dataset for cell in study.cells()}),
        check_tokens=int(bool(rule_params.enough(study)["needed"])),
        build_suite=int(study.tasks is not None and study.tasks.corpus is not None),
        train_trunk=len(pieces),
        drop_states=int(bool(pieces)),
        train_cell=cells,
        evaluate_losses=cells,
        evaluate_tasks=cells if study.tasks else 0,
        seal_predictions=int(study.fit.seal),
        judge_predictions=int(study.fit.seal),
        tabulate_cells=1,
        fit_laws=1,
        run_check=4,
        gather_study=1,
        list_cells=1,
        bundle_script=1,
        plot_figure=len(FIGURES),
        write_report=1,
    )
    project.write_study_file(path)
    assert project.planned() == +expected


def test_the_default_target_is_the_default_study(project: Project) -> None:
    words = ("--dry-run", "--cores", "1")
    status, said = forked_snakemake.snakemake(project.root, project.environment(), *words)
    assert status == 0, said
    assert "results/studies/default/report.html" in said


def test_the_workflow_parses_without_heavy_imports(project: Project) -> None:
    probe = (
        "import sys, scalebed.plan.rule_params, scalebed.plan.resources, scalebed.study.trained,"
        " scalebed.plan.sealing, scalebed.data.readers, scalebed.core.provenance,"
        " scalebed.evaluate.digests, scalebed.report.figures.registry;"
        "from scalebed.checks.registry import get_check; import scalebed.checks.explore.options;"
        "from scalebed.study.checks import CHECKS; [get_check(name) for name in CHECKS];"
        "heavy = {'torch','pandas','scipy','numpy','lm_eval','duckdb','pyarrow','altair'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = project.run("python", "-c", probe)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
