# cython: language_level=3, binding=True
"""The stack sampler's clock, compiled, and the sample of a place that is known already.

See `_ticker.h` for the clock. A known place is counted with no bytecode run: else each sample would be a moment in which
other threads get the GIL, even from C code that never gives it away. Where this is not built, a thread samples.
"""

from libc.stdint cimport int64_t

from _thread import _count
from signal import set_wakeup_fd

from algoprof.recorder import layout as at

cdef extern from "_ticker.h":
    int algoprof_signal_is_free(int)
    int algoprof_start(int, int64_t, int64_t)
    int64_t algoprof_clock()
    void algoprof_stop()
    int algoprof_wait() nogil
    void algoprof_done()
    int algoprof_is_lost()
    void algoprof_give_up()
    void algoprof_want_others(int)
    int ALGOPROF_MAIN, ALGOPROF_OTHERS, ALGOPROF_STOP

MAIN, OTHERS, STOP = ALGOPROF_MAIN, ALGOPROF_OTHERS, ALGOPROF_STOP

cdef object sampler = None
cdef int64_t origin, interval, counted
cdef int STACK_DEPTH = at.STACK_DEPTH, NODE_RUN = at.NODE_RUN, RUN_SERIAL = at.RUN_SERIAL
cdef int STACK_TICKS = at.STACK_TICKS, STACK_SAMPLES = at.STACK_SAMPLES, STACK_WORDS = at.STACK_WORDS
cdef int STACKS_PER_SEGMENT = at.STACKS_PER_SEGMENT, STACKS_LAST = at.STACKS_LAST, NESTED_RUNS = 8


def is_free(number):
    """Whether nobody has a handler for a signal, in Python or in C."""
    return bool(algoprof_signal_is_free(number))


def on_signal(number, frame):
    """Be the handler of the signal. It needs no room of its own on the stack, which may be full."""
    cdef int64_t now = (algoprof_clock() - origin) // interval
    cdef list stack, rows
    algoprof_done()
    if sampler is None or frame is None or sampler.in_handler:
        return
    try:
        stack = stack_of(frame)
        rows = open_rows()
        give_up_if_told()
        if not counted_at_once(rows, stack, now):
            sampler.sample_main(rows, stack, now)
    except RecursionError:
        pass
    except Exception:
        sampler.fault()


cdef list stack_of(object frame):
    """Return code and position of each frame, innermost first."""
    cdef list stack = []
    while frame is not None and len(stack) < STACK_DEPTH:
        stack.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return stack


cdef list open_rows():
    """Return the innermost open row of each run that is open in the calling context, innermost run first."""
    cdef list rows = []
    table, words = sampler.table, sampler.words
    occurrence = table.writer.current.get()
    while occurrence is not None and len(rows) < NESTED_RUNS:
        held = occurrence.held
        suspended = held is not None and held.frame is not None and held.frame.f_back is None
        if occurrence.closed or suspended:
            occurrence = held.before if suspended else occurrence.above
            continue
        row = occurrence.row
        rows.append(row.offset if words[row.offset + NODE_RUN] else row.run.root_reference << 3)
        root = getattr(row.run, "root", None)
        occurrence = (occurrence if root is None else root).above  # without one, its run is just being opened, by it
    if not rows and table._implicit is not None:
        rows.append(table._implicit.root_reference << 3)
    return rows


cdef bint counted_at_once(list rows, list stack, int64_t now) except -1:
    """Count a sample of a place that was seen before; False, and nothing has happened, if there is more to do."""
    cdef int64_t ticks
    cdef dict frames
    stacks = sampler.main
    if len(stack) >= STACK_DEPTH:
        return False
    if not sampler.wants_others and sampler.threads_seen not in (-1, _count()):
        return False  # the program has started a thread, or ended one
    words = stacks.words
    for serial, slot, _ in stacks.runs.values():
        if words[slot + RUN_SERIAL] != serial:
            return False
    node = 0
    for row in reversed(rows):
        node = stacks.places.get((node, row, words[row + NODE_RUN]))
        if node is None:
            return False
    frames = stacks.frames
    for code, position in reversed(stack):
        node = frames.get((node, id(code), position))
        if node is None:
            return False
    if not node:
        return False
    ticks = due(now)
    if ticks:
        offset = stacks.starts[node // STACKS_PER_SEGMENT] + node % STACKS_PER_SEGMENT * STACK_WORDS
        words[offset + STACK_TICKS] += ticks
        words[offset + STACK_SAMPLES] += 1
    words[stacks.header + STACKS_LAST] = origin + now * interval
    return True


cpdef int64_t due(int64_t now):
    """Return the ticks that the main thread is to be given up to one; another sample's are not given twice.

    To Python it is a single step: no thread gets the GIL within it, and no handler's exception leaves it half done.
    """
    global counted
    cdef int64_t ticks = max(0, now - counted)
    counted += ticks
    return ticks


def start(number, of, began, between):
    """Begin, in the main thread, and count for a sampler; False if that cannot be.

    Args:
        number: the signal, for which Python has `on_signal` as its handler.
        of: the sampler.
        began: the first tick, in nanoseconds on the monotonic clock.
        between: nanoseconds from tick to tick.
    """
    global sampler, origin, interval, counted
    origin, interval, counted = began, between, 0
    sampler = of
    return bool(algoprof_start(number, began, between))


def stop():
    """End it; nothing is counted any more."""
    global sampler
    sampler = None
    algoprof_stop()


def wait():
    """Wait until a helper is wanted, and return for what."""
    cdef int wanted
    with nogil:
        wanted = algoprof_wait()
    return wanted


def is_lost():
    """Whether the signal is the program's now."""
    return bool(algoprof_is_lost())


cpdef give_up_if_told():
    """In the main thread: use the signal no more, if the program is told of each signal through a descriptor.

    A loop that is busy would find no room left there for the signals that it waits for. The only way to see the
    descriptor is to set it; compiled code does so with no other Python code in between.
    """
    handle = set_wakeup_fd(-1)
    if handle != -1:
        try:
            set_wakeup_fd(handle)
        except (OSError, ValueError):
            pass
        algoprof_give_up()


def want_others(wanted):
    """Say whether a helper is wanted at each tick, for the other threads."""
    algoprof_want_others(wanted)
