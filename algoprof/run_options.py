"""What a run may do beyond what every run does: what `profile.with_options` takes."""

from algoprof.errors import ConfigurationError
from algoprof.watcher import THRESHOLDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from algoprof.watcher import Threshold


class RunOptions:
    """The options of a run; see `profile.with_options`.

    Args:
        allocations: whether to trace what Python allocates.
        thresholds: shares of the timeout to tell of.
        on_threshold: whom to tell.

    Raises:
        ConfigurationError: if a threshold is no share, or stands alone.
    """

    __slots__ = ("allocations", "on_threshold", "thresholds")

    def __init__(
        self,
        *,
        allocations: bool = False,
        thresholds: "Iterable[float]" = THRESHOLDS,
        on_threshold: "Callable[[Threshold], object] | None" = None,
    ) -> None:
        self.allocations = allocations
        try:
            self.thresholds = tuple(sorted({_share(one) for one in thresholds}))
        except TypeError:
            raise ConfigurationError(f"thresholds are a list, as [0.5, 0.9], not {thresholds!r}") from None
        self.on_threshold = on_threshold

    @property
    def are_default(self) -> bool:
        """Whether they ask for nothing that other runs have not."""
        return not self.allocations and self.thresholds == THRESHOLDS and self.on_threshold is None


def _share(threshold: float) -> float:
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold <= 1:
        raise ConfigurationError(f"a threshold is a share of the timeout, above 0 and at most 1, not {threshold!r}")
    return float(threshold)
