"""A good key looks for what it was not told about: paths that are not there, other methods, doors for staff only."""

from __future__ import annotations

from benchmarks.session.traffic import Attack, Call, Day, Range

_WORDS = (
    "admin", "internal", "debug", "config", "users", "keys", "tokens", "export", "backup", "metrics", "logs", "jobs",
    "billing", "invoices", "webhooks", "roles", "teams", "secrets", "health", "status", "graphql", "docs", "swagger",
    "actuator", "env", "console", "shell", "upload", "import", "system", "settings", "sessions", "audit", "reports",
)  # fmt: skip


class Probing(Attack):
    """From the attacker's usual place, at the pace of a careful scanner or a hurried one."""

    name = "probing"
    bar = 0.99
    ranges = {"count": Range(30, 200, log=True), "seconds": Range(0.2, 5.0, log=True), "known_share": Range(0.0, 0.3)}

    def day(self, day: Day, nth: int) -> list[Call]:
        calls = []
        rng, customer = day.rng, self.customer
        at = self.start(day, nth)
        base = customer.service.api.target("catalogue").rpartition("/")[0]
        for _ in range(self.whole("count")):
            at += self.chosen["seconds"] * rng.uniform(0.5, 1.5)
            if rng.random() < self.chosen["known_share"]:
                call = customer.call(at, rng.choice(("audit", "usage", "catalogue", "index")))
                if rng.random() < 0.6:
                    call = call._replace(method=rng.choice(("DELETE", "PUT", "OPTIONS")))
            else:
                call = customer.call(at, "catalogue")
                path = "/".join(rng.sample(_WORDS, rng.randint(1, 2)))
                call = call._replace(target=f"{base}/{path}", method=rng.choice(("GET", "GET", "POST")))
            calls.append(call)
        return calls
