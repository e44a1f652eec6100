"""The terminal, lent to the program: it reads the keyboard, and Ctrl-C and Ctrl-Z are its own."""

import os
import signal
import sys


class Terminal:
    """The terminal that stdin is, if this process may lend it; else nothing is done."""

    def __init__(self) -> None:
        self._own = os.getpgrp()
        self._handle = -1
        try:
            handle = sys.__stdin__.fileno() if sys.__stdin__ is not None else -1
            if handle >= 0 and os.isatty(handle) and os.tcgetpgrp(handle) == self._own:
                self._handle = handle
        except (OSError, ValueError):
            return

    @property
    def lent(self) -> bool:
        """Whether there is one to lend."""
        return self._handle >= 0

    def give(self, group: int) -> None:
        """Let a process group read from it."""
        if self.lent:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else asking from the background would stop us
            try:
                os.tcsetpgrp(self._handle, group)
            except OSError:
                pass
            finally:
                signal.signal(signal.SIGTTOU, before)

    def take_back(self) -> None:
        """Let this process's own group read from it again."""
        self.give(self._own)
