"""What a measure comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its unit, the repetitions that it is the median of, and what it was made from."""

    value: float
    unit: str
    repetitions: Sequence[float] = ()
    parts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, repetitions: Sequence[float], unit: str, **parts: float) -> "Figure":
        return cls(median(repetitions), unit, tuple(repetitions), parts)
