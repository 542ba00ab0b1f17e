"""A batch that runs a few times a day from one machine: a queue of jobs, one after the other."""

from __future__ import annotations

from benchmarks.session.traffic import HOUR, Archetype, Call, Day, Range


class BatchJob(Archetype):
    """The same hours every day, the size of the queue differs."""

    name = "batch_job"
    weight = 8
    ranges = {
        "runs": Range(1, 6),  # a day
        "jobs": Range(3, 25),  # a run
        "first_hour": Range(0.0, 23.0),
        "pace": Range(1.0, 6.0),
    }

    def day(self, day: Day) -> list[Call]:
        calls: list[Call] = []
        rng, customer = day.rng, self.customer
        for run in range(self.whole("runs")):
            at = customer.hour(day, self.chosen["first_hour"]) + run * 24 / self.chosen["runs"] * HOUR
            at += rng.uniform(0, 300)
            for _ in range(round(self.chosen["jobs"] * customer.volume(day))):
                calls += customer.job(at, rng, pace=self.chosen["pace"])
                at = calls[-1].at + rng.uniform(0.5, 3.0)
        return calls
