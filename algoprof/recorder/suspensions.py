"""What is kept of an occurrence that a generator or coroutine suspends and resumes, or holds open while it waits."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from algoprof.recorder._python import Occurrence


class Steps:
    """The clock of an occurrence that is suspended and resumed."""

    __slots__ = ("active", "generator", "inner", "resumed", "saved")

    def __init__(self, occurrence: "Occurrence", *, generator: bool) -> None:
        self.generator = generator
        self.active = 0  # nanoseconds it has run
        self.resumed = occurrence.started
        self.inner: Occurrence | None = occurrence  # while suspended: the innermost one inside it
        self.saved = occurrence.above  # while it runs: the innermost one of whoever resumed it


class Held:
    """Where an occurrence stands that a generator holds open, and may take along when it is suspended."""

    __slots__ = ("before", "frame", "waited")

    def __init__(self, frame: "FrameType", before: "Occurrence | None", waited: int) -> None:
        self.frame: FrameType | None = frame  # until it is closed: a frame keeps alive all that its body knows
        self.before = before  # the innermost one of whoever ran the generator
        self.waited = waited  # nanoseconds for which a timed generator had been suspended before

    @property
    def suspended(self) -> bool:
        """Whether the generator waits: then nobody has called it."""
        return self.frame is not None and self.frame.f_back is None


def waited(above: "Occurrence | None") -> int:
    """Return for how many nanoseconds a timed generator whose body runs was suspended; 0 if it is none."""
    steps = above.steps if above is not None else None
    if above is None or steps is None or not steps.generator:
        return 0
    return steps.resumed - above.started - steps.active
