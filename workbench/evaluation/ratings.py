"""From votes to a win rate and how sure it is. Pure; leaves out where the votes come from (`comparison`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """Blind votes between two models, as counts of votes."""

    wins: int = 0
    losses: int = 0
    ties: int = 0
    both_bad: int = 0

    @property
    def decided(self) -> int:
        return self.wins + self.losses


def win_rate(tally: Tally) -> tuple[float, float, float] | None:
    """Share of decided votes that the first model won, with its 95 % Wilson interval; None without a decided vote.

    7 wins of 10 decided give 0.7 [0.397, 0.892]. Source: Wilson 1927, eq. for the score interval.
    """
    return share(tally.wins, tally.decided) if tally.decided else None


def share(part: int, whole: int) -> tuple[float, float, float]:
    """`part` of `whole` > 0 as a share, with its 95 % Wilson interval."""
    from scipy.stats import binomtest

    low, high = binomtest(part, whole).proportion_ci(method="wilson")
    return part / whole, float(low), float(high)
