"""A run of many programs: what was drawn, what was found, and the table at the end."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import hypothesis
from hypothesis import HealthCheck, Phase

from tests.fuzz.backends import Unsupported, check, failing, kind_of, raises, schedules
from tests.fuzz.draw import TALLY, programs
from tests.fuzz.outcome import IllConditioned
from tests.fuzz.program import Program, cut_down

MOST_FINDINGS = 25


@dataclass
class Campaign:
    """The sums of a run. `drawn` counts what Hypothesis began, `rejected` what came to no check: too long for Hypothesis, or ill-conditioned."""

    drawn: int = 0
    checked: int = 0
    statements: int = 0
    raising: int = 0
    ill: int = 0
    statement_draws: int = 0
    statements_dropped: int = 0
    seconds: float = 0.0
    unsupported: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    """For each reason, one error in full."""
    findings: list[tuple[str, str]] = field(default_factory=list)
    """What is wrong, and the program cut down, as a script."""

    def add(self, other: Campaign) -> None:
        for name, value in vars(other).items():
            setattr(self, name, {**getattr(self, name), **value} if name == "refused" else getattr(self, name) + value)

    def table(self) -> str:
        rejected = self.drawn - self.checked - self.unsupported.total()
        lines = [
            ("programs drawn", f"{self.drawn}"),
            (
                "rejected",
                f"{rejected} ({100 * rejected / max(self.drawn, 1):.2f} %), of them decided by rounding errors: {self.ill}",
            ),
            ("not supported", f"{self.unsupported.total()}"),
            ("compared", f"{self.checked}, of them raising errors: {self.raising}"),
            ("statements", f"{self.statements}, {self.statements / max(self.checked, 1):.1f} a program"),
            (
                "statement draws",
                f"{self.statement_draws}, left out {100 * self.statements_dropped / max(self.statement_draws, 1):.1f} %",
            ),
            ("mismatches", f"{len(self.findings)}"),
            ("seconds", f"{self.seconds:.0f}"),
        ]
        reasons = [f"  not supported, {count}: {reason}" for reason, count in self.unsupported.most_common(20)]
        return "\n".join([f"{name:<18}{told}" for name, told in lines] + reasons)


def run(
    count: int,
    backends: tuple[str, ...],
    seed: int,
    most: int = 30,
    long: bool = True,
    told: Callable[[int, Program], None] = lambda done, program: None,
    found: Callable[[str, str], None] = lambda wrong, script: None,
) -> Campaign:
    """Draws and checks `count` programs. `told` is called before each, with how many came to a check so far, and `found` with each finding."""
    campaign = Campaign()
    start = time.perf_counter()
    before = TALLY.programs, TALLY.statements, TALLY.dropped, TALLY.reasons.copy()

    forced = schedules(backends)

    def one(program: Program) -> None:
        schedule = next(forced)
        told(campaign.checked, program)
        try:
            wrong = check(program, backends, schedule)
        except Unsupported as refusal:
            campaign.unsupported[str(refusal)] += 1
            campaign.refused.setdefault(str(refusal), str(refusal.__cause__))
            return
        except IllConditioned:
            campaign.ill += 1
            return
        campaign.checked += 1
        campaign.raising += program.wrong and raises(program)
        campaign.statements += len(program.statements)
        if wrong:
            small = cut_down(program, failing(backends, wrong, schedule))
            try:
                wrong = check(small, backends, schedule) or wrong
            except Exception as error:
                wrong = f"{wrong} (then {error!r})"
            wrong += f" [{schedule}]" if schedule is not None else ""
            if all(kind_of(known) != kind_of(wrong) or "values of" in known for known, _ in campaign.findings):
                campaign.findings.append((wrong, small.reproducer()))
                found(*campaign.findings[-1])
            if len(campaign.findings) >= MOST_FINDINGS:
                raise KeyboardInterrupt

    test = hypothesis.seed(seed)(
        hypothesis.settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(hypothesis.given(programs(most, long))(one))
    )
    with contextlib.suppress(KeyboardInterrupt):
        test()
    campaign.seconds = time.perf_counter() - start
    campaign.drawn = TALLY.programs - before[0]
    campaign.statement_draws, campaign.statements_dropped = TALLY.statements - before[1], TALLY.dropped - before[2]
    campaign.dropped = TALLY.reasons - before[3]
    return campaign
