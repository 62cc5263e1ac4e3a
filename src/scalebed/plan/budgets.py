"""What a study may cost, and why a plan is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalebed.study.sections import Budget

if TYPE_CHECKING:
    from scalebed.plan.plan import Plan


def combined(study: Budget, given: Budget | None) -> Budget:
    """Return the budget of a study, with what was given in its place."""
    if given is None:
        return study
    return study.model_copy(update=given.model_dump(exclude_none=True))


def unchecked(plan: Plan, budget: Budget) -> list[str]:
    """Return a warning for every part of the budget that nothing can be held against."""
    gpu = plan.hardware.gpu
    found = []
    unknown = [part for part in plan.work if part.seconds is None]
    if budget.core_hours is not None and unknown:
        found.append(
            f"{len(unknown)} cells{' or pieces of trunks' if plan.pieces else ''} have no time "
            "estimate, so the core-hours budget is only checked against the others"
        )
    if budget.gpu_hours is not None and gpu is None:
        found.append("budget.gpu_hours is not checked: the hardware has no gpu")
    if budget.money is not None and (gpu is None or gpu.price_per_hour is None):
        found.append("budget.money is not checked: the hardware has no gpu.price_per_hour")
    return found


def over_budget(plan: Plan, budget: Budget) -> list[str]:
    """Return a sentence for every part of the budget that the plan exceeds."""
    gpu = plan.hardware.gpu
    hours = sum(part.device_seconds or 0 for part in plan.work) / 3600
    found = []
    if budget.core_hours is not None and hours > budget.core_hours:
        unit = "GPU-hours" if gpu else "core-hours"
        found.append(
            f"training would take about {hours:.3g} {unit}, the budget is {budget.core_hours:g}"
        )
    if gpu and budget.gpu_hours is not None and hours > budget.gpu_hours:
        found.append(
            f"training would take about {hours:.3g} GPU-hours, the budget is {budget.gpu_hours:g}"
        )
    if gpu and gpu.price_per_hour is not None and budget.money is not None:
        money = hours * gpu.price_per_hour
        if money > budget.money:
            found.append(
                f"training would cost about {money:,.2f} ({hours:.3g} GPU-hours at "
                f"{gpu.price_per_hour:g}), the budget is {budget.money:g}"
            )
    if budget.flops is not None and plan.flops > budget.flops:
        found.append(
            f"training would take {plan.flops:.3g} FLOPs, the budget is {budget.flops:.3g}"
        )
    return found
