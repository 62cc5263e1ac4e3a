"""Tables 2 and 7 of the paper by its own procedure, which the study's bounded fits improve on.

The paper fits each task with ``curve_fit`` from one start and without bounds. Where a bound of ours
is active (LAMBADA, whose best eps is above 1) the study's number differs, as its report says.
"""

import numpy as np
import pytest
from scipy.optimize import curve_fit

TASKS = ("arc_easy", "lambada_openai", "openbook_qa", "hellaswag_zeroshot", "average")
# Relative error in per cent at 6.9B, M = 20; in the second row without the 1.4B fit cell.
PRINTED = {
    "c4": ((28.96, 15.01, 16.80, 79.58, 0.14), (0.92, 2.04, 96.16, 61.79, 0.42)),
    "redpajama": ((5.21, 14.39, 8.44, 25.73, 0.05), (8.13, 11.07, 7.56, 30.98, 10.64)),
    "refinedweb": ((26.06, 16.55, 1.92, 81.96, 2.94), (15.39, 6.26, 6.79, 6.52, 15.79)),
}


def decay(loss, k, gamma, eps):
    return eps - k * np.exp(-gamma * loss)


@pytest.mark.parametrize("dataset", PRINTED)
def test_tables_2_and_7(imported, dataset):
    cells = imported["cells"].query("dataset == @dataset").set_index("cell")
    losses = imported["losses"].query("validation == 'c4_val'").set_index("cell")["loss"]
    tasks = imported["tasks"].pivot_table(index="cell", columns="task", values="error")
    tasks["average"] = imported["tasks"].query("in_average").groupby("cell")["error"].mean()
    predicted = imported["beside_predictions"].query("response == 'c4_val'").set_index("cell")
    (target,) = cells.index[cells["size"] == "6900m"]
    for with_large, printed in zip((True, False), PRINTED[dataset], strict=True):
        used = cells.index[cells["fit_error"] & (with_large | (cells["size"] != "1400m"))]
        assert len(used) == 5 + with_large
        for task, percent in zip(TASKS, printed, strict=True):
            theta, _ = curve_fit(decay, losses[used], tasks.loc[used, task], maxfev=10_000)
            found = decay(predicted.loc[target, "predicted"], *theta)
            truth = tasks.loc[target, task]
            # "0.05 percentage points": per-task fits of this kind are not stable to more digits.
            assert 100 * abs(found - truth) / truth == pytest.approx(percent, abs=0.05), task
