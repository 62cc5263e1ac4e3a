"""The published testbed through the study file that ships with it, as the workflow fits it."""

from pathlib import Path

import pandas as pd
import pytest
from shared import paper

from scalebed.plan import rule_params
from scalebed.predict.open_study import StudyFit, open_study

STUDY = "results/studies/testbed"


@pytest.fixture(scope="session")
def fitted_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the study, with tables and fits; tests must leave it as it is."""
    return paper(tmp_path_factory, f"{STUDY}/fits/fits.parquet").root / STUDY


@pytest.fixture(scope="session")
def study(fitted_study: Path) -> StudyFit:
    """Return the study as its checks open it."""
    return open_study(fitted_study)


@pytest.fixture(scope="session")
def imported(fitted_study: Path) -> dict[str, pd.DataFrame]:
    """Return tables and fits of the study."""
    names = [f"tables/{name}" for name in rule_params.CELL_TABLES]
    names += [f"fits/{name}" for name in rule_params.FIT_TABLES]
    return {Path(name).name: pd.read_parquet(fitted_study / f"{name}.parquet") for name in names}
