"""What waits for the predictions of a study to be sealed, if it asks for a seal."""

from scalebed.plan import sealing

SEAL = f"results/studies/{STUDY.name}/sealed.json"
WAITING = [] if IMPORTED else sealing.targets(STUDY)
WAITING_LEGS = sealing.waiting_legs(CELLS, WAITING) if WAITING else []
WAITING_STATES = {leg.path for leg in WAITING_LEGS}
BEGUN = sealing.begun({path: CELLS[path] for path in WAITING}, WAITING_LEGS, Path())
SEAL_PARAMS = canonical_json(sealing.seal(STUDY)) if WAITING else ""
SEAL_CODE = code_digest("scalebed.watch.sealed_study") if WAITING else ""
# Once a target has begun a seal is a fact: no rule makes it, so no edit replaces it.
SEALED = Path(SEAL).exists() and bool(BEGUN)
JUDGED = "results/studies/{study}/judged.parquet" if WAITING else []


def cell_seal(wildcards):
    """Return the seal, if a cell waits for it."""
    return SEAL if cell_path(wildcards) in WAITING else []


def leg_seal(wildcards):
    """Return the seal, if a piece of a trunk waits for it."""
    return SEAL if trunk_leg(wildcards).path in WAITING_STATES else []


def judged_argument(wildcards):
    """Return the words that pass the judged predictions."""
    return ["--judged", JUDGED.format(**wildcards)] if JUDGED else []
