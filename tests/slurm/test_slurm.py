"""The tiny study on a real Slurm: undisturbed, and with everything that happens to jobs."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import site_files
from cluster import Cluster
from project import Project

from scalebed.core.files import sha256_file

pytestmark = pytest.mark.slurm


def cell(project: Project, seed: int) -> Path:
    """Return the folder of a slow cell."""
    ratio = site_files.SLOW_RATIOS[seed]
    name = f"dataset=tales/size=15k/ratio={ratio}/recipe=base/seed={seed}"
    return project.root / "results/cells" / name


def record(project: Project, seed: int) -> dict[str, object]:
    """Return the record of a slow cell."""
    return json.loads((cell(project, seed) / "metrics.json").read_text(encoding="utf-8"))


def test_the_study_ends_in_a_report(calm: Project, slurm: Cluster) -> None:
    assert (calm.root / "results/studies/tiny/report.html").stat().st_size > 10_000
    rows = slurm.call("squeue", "-h", "--states=all", "-o", "%k|%T|%P|%l").splitlines()
    jobs = [row.split("|") for row in rows]
    trainings = [job for job in jobs if job[0].startswith("rule_train_cell")]
    cells = len(site_files.SLOW_SEEDS) + 3
    assert len(trainings) == cells
    assert {job[1] for job in jobs} == {"COMPLETED"}
    assert {job[2] for job in trainings} == {"gpu-short"}
    # One job for the data, two for the evaluations, one or two for the analysis.
    assert len(jobs) - cells <= 5, jobs
    assert calm.planned() == {}


def test_jobs_have_the_account_qos_gpus_and_nodes_that_the_profile_names(
    calm: Project, slurm: Cluster
) -> None:
    jobs = slurm.details()
    assert {job["Account"] for job in jobs} == {"lab"}
    assert {job["Reservation"] for job in jobs} == {site_files.RESERVATION}
    trainings = [job for job in jobs if job["Comment"].startswith("rule_train_cell")]
    others = [job for job in jobs if job not in trainings]
    assert {job["TresPerJob"] for job in trainings} == {"gres:gpu:a100:1"}
    large = {"_15k_" in job["Comment"]: job["Features"] for job in trainings}
    assert large == {True: "nvlink", False: "rack1|rack2"}
    assert not any("gpu" in job.get("TresPerJob", "") for job in others)
    assert {job["Partition"] for job in others} <= {"short", "long"}
    submitted = (calm.root / "bin/submitted.txt").read_text(encoding="utf-8").splitlines()
    assert len(submitted) == len(jobs)
    for words in submitted:
        assert f" --qos={'gpu' if 'rule_train_cell' in words else 'normal'} " in words


class Driver:
    """A Snakemake that submits the slow cells, and what has been seen of their states."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.steps: dict[int, list[int]] = {seed: [0] for seed in site_files.SLOW_SEEDS}
        self.jobs: dict[int, str] = {}
        self.log = project.root / "driver.log"
        self.start()

    def start(self) -> None:
        """Start it."""
        targets = [
            str((cell(self.project, seed) / "metrics.json").relative_to(self.project.root))
            for seed in site_files.SLOW_SEEDS
        ]
        words = ["snakemake", "--profile", "slurm", *targets, "--configfile", "study.yaml"]
        environment = self.project.environment()
        path = f"{site_files.SLOWLY}{os.pathsep}{environment['PYTHONPATH']}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words,
                cwd=self.project.root,
                env=environment | {"PYTHONPATH": path},
                stdout=log,
                stderr=log,
            )

    def watch(self) -> None:
        """Note the newest checkpoint of each cell."""
        for seed, seen in self.steps.items():
            relative = cell(self.project, seed).relative_to(self.project.root / "results/cells")
            state = self.project.root / "state" / relative
            found = [int(path.stem[5:]) for path in state.glob("*/step-*.safetensors")]
            if found and max(found) != seen[-1]:
                seen.append(max(found))

    def wait(self, ready: Callable[[], object], seconds: float) -> None:
        """Watch until something is so."""
        end = time.monotonic() + seconds
        while not ready():
            self.watch()
            assert time.monotonic() < end, self.log.read_text(errors="replace")[-6000:]
            time.sleep(0.5)

    def job(self, slurm: Cluster, seed: int) -> str:
        """Return the running job of a cell, once it has saved something in this job."""
        found: list[str] = []

        def running() -> bool:
            found[:] = slurm.jobs(f"15k_{site_files.SLOW_RATIOS[seed]}_base_{seed}")
            return bool(found) and self.steps[seed][-1] > 0

        self.wait(running, 300)
        return found[0]


def disturb(driver: Driver, slurm: Cluster) -> None:
    """Do to each cell what happens on clusters, while it is training."""
    limited, killed, requeued, orphan = site_files.SLOW_SEEDS
    jobs = driver.jobs = {limited: driver.job(slurm, limited)}
    # Slurm warns two minutes ahead, so as soon as it looks, which it does twice a minute. Jobs over
    # their limit it kills in five seconds, and this one may have taken minutes to start.
    minutes = slurm.call("squeue", "-h", "-j", jobs[limited], "-o", "%M").split(":")[-2]
    slurm.call("scontrol", "update", f"JobId={jobs[limited]}", f"TimeLimit={int(minutes) + 2}")
    jobs |= {seed: driver.job(slurm, seed) for seed in (killed, requeued, orphan)}
    slurm.call("scancel", "--signal=KILL", jobs[killed])
    # The drained node takes no jobs until it is resumed; those that run are left alone.
    node = f"NodeName={slurm.host}"
    slurm.call("scontrol", "update", node, "State=DRAIN", "Reason=test")
    slurm.call("scontrol", "requeue", jobs[requeued])
    driver.wait(lambda: jobs[requeued] in slurm.jobs(f"base_{requeued}", "PENDING"), 60)
    assert slurm.node_state() in ("draining", "drained")
    slurm.call("scontrol", "update", node, "State=RESUME")
    slurm.call("scontrol", "update", f"JobId={jobs[requeued]}", "StartTime=now")
    log = driver.log
    driver.wait(lambda: log.read_text(errors="replace").count("Trying to restart job") >= 2, 180)
    driver.job(slurm, orphan)
    driver.process.kill()
    driver.process.wait()


@pytest.fixture(scope="module")
def stormy(
    calm: Project, slurm: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, Driver]:
    """Return the slow cells trained once more, with every fault.

    The project is a copy, as if it had been moved from another machine.
    """
    root = tmp_path_factory.mktemp("stormy") / "project"
    shutil.copytree(calm.root, root, symlinks=True)
    project = Project(root)
    for seed in site_files.SLOW_SEEDS:
        shutil.rmtree(cell(project, seed))
    shutil.rmtree(root / "state")
    site_files.write(root, site_files.EAGER)
    slurm.release(site_files.RESERVATION)
    driver = Driver(project)
    disturb(driver, slurm)
    unlocked = project.run("snakemake", "--unlock", "--configfile", "study.yaml")
    assert unlocked.returncode == 0, unlocked.stderr
    driver.start()
    driver.wait(lambda: driver.process.poll() is not None, 900)
    assert driver.process.returncode == 0, driver.log.read_text(errors="replace")[-6000:]
    return project, driver


@pytest.mark.parametrize("seed", site_files.SLOW_SEEDS)
def test_a_disturbed_cell_ends_with_the_same_weights(
    seed: int, calm: Project, stormy: tuple[Project, Driver]
) -> None:
    project, driver = stormy
    before, after = record(calm, seed), record(project, seed)
    assert after["status"] == "done"
    assert after["weights_sha256"] == before["weights_sha256"]
    assert sha256_file(cell(project, seed) / "model.safetensors") == before["weights_sha256"]
    assert after["train_loss"] == before["train_loss"]
    # Never from the start again: what is saved only grows, and it was taken up.
    seen = driver.steps[seed]
    assert seen == sorted(seen), seen
    assert len(seen) > 2
    assert before["attempts"] == 1
    *_, orphan = site_files.SLOW_SEEDS
    # The orphan was never disturbed: the job of the killed Snakemake trained it to the end.
    assert after["attempts"] == (1 if seed == orphan else 2)


def test_a_time_limit_is_announced_and_the_state_saved(stormy: tuple[Project, Driver]) -> None:
    project, driver = stormy
    limited, *_ = site_files.SLOW_SEEDS
    logs = project.root / ".snakemake/slurm_logs/rule_train_cell"
    (log,) = logs.rglob(f"{driver.jobs[limited]}.log")
    assert "returned non-zero exit status 75" in log.read_text(errors="replace")
