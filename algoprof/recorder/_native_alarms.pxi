"""Who tells of a threshold while no Python code can run: a thread that needs no GIL and reads the flight file."""

cdef extern from "_alarms.h":
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    pthread_mutex_t algoprof_lock
    pthread_cond_t algoprof_changed
    int pthread_mutex_lock(pthread_mutex_t *) noexcept nogil
    int pthread_mutex_unlock(pthread_mutex_t *) noexcept nogil
    int pthread_cond_signal(pthread_cond_t *) noexcept nogil
    void algoprof_reset_lock() noexcept nogil
    bint algoprof_start_thread(void *(*)(void *) noexcept nogil) noexcept nogil
    void algoprof_sleep(int64_t) noexcept nogil
    void algoprof_write(int, const char *, size_t) noexcept nogil

cdef extern from "_stacks.h":
    ctypedef struct PyInterpreterState:
        pass
    PyInterpreterState *PyInterpreterState_Get() noexcept
    size_t algoprof_stacks(PyInterpreterState *, char *, size_t, const char *, const char *, unsigned long) noexcept nogil
    unsigned long PyThread_get_thread_ident() noexcept nogil

cdef extern from "stdio.h" nogil:
    int snprintf(char *, size_t, const char *, ...)

cdef enum:
    ALARMS = 256
    SEEN = 256  # rows with something open that one telling looks at
    TOLD = 16
    DEPTH = 130
    ROOM = 64 * 1024
    STANDARD_ERROR = 2

cdef struct Alarm:
    int64_t due
    int64_t *words  # of the flight file
    int64_t run  # word offset of its slot
    int64_t serial
    int64_t millionths

cdef struct Seen:
    int64_t row
    int64_t parent
    int64_t started  # of its oldest open occurrence

cdef Alarm alarms[ALARMS]
cdef int alarm_count = 0
cdef int64_t next_look = 0  # when the thread looks again; 0 while it sleeps for ever, or is not there
cdef bint thread_runs = False, telling = False, silent = False
cdef Seen seen[SEEN]
cdef char text_room[ROOM]
cdef bytes own_beginnings = b"", starter_path = b""
cdef const char *own_list = NULL
cdef const char *starter = NULL
cdef PyInterpreterState *interpreter = NULL
cdef unsigned long watcher = 0
cdef list kept_views = []  # the memory that alarms point into stays mapped

cdef int64_t PATIENCE_NS = 20_000_000  # for whoever tells with the GIL held, and does it better
cdef int64_t HOUR_NS = 3600 * 1_000_000_000
cdef int RUN_SERIAL = at.RUN_SERIAL, RUN_STATE = at.RUN_STATE, RUN_NAME = at.RUN_NAME, RUN_TIMEOUT = at.RUN_TIMEOUT
cdef int RUN_THRESHOLD = at.RUN_THRESHOLD, STATE_OPEN = at.OPEN
cdef int HEADER_SEGMENTS = at.HEADER_SEGMENTS, HEADER_NAMES = at.HEADER_NAMES
cdef int DIRECTORY_WORDS_AT = at.DIRECTORY_AT // 8, SEGMENT_WORDS = at.SEGMENT_WORDS, SEGMENT_COUNT = at.SEGMENT_COUNT
cdef int KIND_NAMES = at.NAMES, KIND_HOME = at.HOME, KIND_OPENS = at.OPENS
cdef int NAME_WORDS = at.NAME_BYTES_EACH // 8, NAMES_EACH = at.NAMES_PER_SEGMENT, NAME_MAX = at.NAME_MAX
cdef int HOME_OPENS_WORDS_AT = at.HOME_OPENS_AT // 8, HOME_OPENS = at.HOME_OPENS
cdef int OPEN_WORDS = at.OPEN_BYTES // 8, OPENS_EACH = at.OPENS_PER_SEGMENT
cdef int NODE_RUN = at.NODE_RUN, NODE_PARENT = at.NODE_PARENT
cdef int64_t REFERENCE_MASK = at.REFERENCE_MASK, FILE_WORDS = at.FILE_BYTES // 8


def show_none_of(bytes own, bytes starts):
    """Say which threads and frames are shown in no stack.

    Args:
        own: how the paths of files begin in which threads do that are not shown, each ending in a zero.
        starts: the file that starts programs under a supervisor; its frames are not shown.
    """
    global own_beginnings, starter_path, own_list, starter
    own_beginnings, starter_path = own, starts
    own_list, starter = own_beginnings, starter_path


def set_alarm(view, int64_t run, int64_t serial, int64_t due, int64_t millionths):
    """Have a threshold told of, unless somebody takes the alarm soon after it is due.

    Args:
        view: the words of the flight file that the run is in.
        run: the word offset of the run's slot.
        serial: the run's.
        due: when, on the monotonic clock.
        millionths: the share of the timeout.
    """
    global alarm_count, next_look, thread_runs, interpreter
    cdef Alarm *made
    if not any(kept is view for kept in kept_views):
        kept_views.append(view)
    pthread_mutex_lock(&algoprof_lock)
    if alarm_count == ALARMS:
        forget_ended()
    if alarm_count < ALARMS and not silent:
        made = &alarms[alarm_count]
        made.due = due
        made.words = <int64_t *>PyMemoryView_GET_BUFFER(view).buf
        made.run = run
        made.serial = serial
        made.millionths = millionths
        alarm_count += 1
        if not thread_runs:
            interpreter = PyInterpreterState_Get()
            next_look = 0
            thread_runs = algoprof_start_thread(keep_watch)
        elif next_look == 0 or due + PATIENCE_NS < next_look:
            pthread_cond_signal(&algoprof_changed)
    pthread_mutex_unlock(&algoprof_lock)


def watch_here():
    """Say that the running thread is the one that takes alarms: it may be busy with that, and is not shown."""
    global watcher
    watcher = PyThread_get_thread_ident()


def take_alarm(int64_t run, int64_t serial, int64_t millionths):
    """Take over from the thread that would tell of a threshold; what it has told of is marked in the run's slot."""
    cdef int position
    pthread_mutex_lock(&algoprof_lock)
    for position in range(alarm_count):
        if (
            alarms[position].run == run
            and alarms[position].serial == serial
            and alarms[position].millionths == millionths
        ):
            drop(position)
            break
    pthread_mutex_unlock(&algoprof_lock)


def silence_alarms():
    """Tell of nothing any more: the interpreter is about to end. What is being told is waited for, but not long."""
    global alarm_count, silent
    cdef int64_t until = algoprof_now() + 5 * PATIENCE_NS
    pthread_mutex_lock(&algoprof_lock)
    silent = True
    alarm_count = 0
    while telling and algoprof_now() < until:
        algoprof_sleep(PATIENCE_NS // 20)
    pthread_mutex_unlock(&algoprof_lock)


def forget_alarms():
    """In a forked child: the alarms are the parent's, and so is the thread."""
    global alarm_count, thread_runs, telling, silent
    algoprof_reset_lock()
    alarm_count = 0
    thread_runs = telling = silent = False


cdef void drop(int position) noexcept nogil:
    global alarm_count
    alarm_count -= 1
    alarms[position] = alarms[alarm_count]


cdef bint is_open(Alarm *alarm) noexcept nogil:
    cdef int64_t *slot = alarm.words + alarm.run
    return slot[RUN_SERIAL] == alarm.serial and slot[RUN_STATE] == STATE_OPEN


cdef void forget_ended() noexcept nogil:
    cdef int position = alarm_count
    while position:
        position -= 1
        if not is_open(&alarms[position]):
            drop(position)


cdef void *keep_watch(void *nothing) noexcept nogil:
    """Sleep until an alarm is due for so long that nobody else will tell, and tell."""
    global next_look, telling
    cdef int position, first
    cdef int64_t now
    cdef Alarm alarm
    cdef size_t size
    pthread_mutex_lock(&algoprof_lock)
    while True:
        first = -1
        for position in range(alarm_count):
            if first < 0 or alarms[position].due < alarms[first].due:
                first = position
        now = algoprof_now()
        if first < 0:
            next_look = 0
            algoprof_sleep(HOUR_NS)
            continue
        next_look = alarms[first].due + PATIENCE_NS
        if now < next_look:
            algoprof_sleep(next_look - now)
            continue
        alarm = alarms[first]
        drop(first)
        if not is_open(&alarm):
            continue
        telling = True
        if alarm.words[alarm.run + RUN_THRESHOLD] < alarm.millionths:
            alarm.words[alarm.run + RUN_THRESHOLD] = alarm.millionths
        pthread_mutex_unlock(&algoprof_lock)
        size = message(&alarm, now)
        size += algoprof_stacks(interpreter, text_room + size, ROOM - size, own_list, starter, watcher)
        pthread_mutex_lock(&algoprof_lock)
        telling = False
        pthread_mutex_unlock(&algoprof_lock)
        algoprof_write(STANDARD_ERROR, text_room, size)  # which may take as long as its reader does
        pthread_mutex_lock(&algoprof_lock)
    return NULL


cdef size_t message(Alarm *alarm, int64_t now) noexcept nogil:
    """Say what the watcher says when it can: what is used, and what is open."""
    cdef size_t size = 0
    cdef int rows, position, other, told = 0, left = 0
    cdef bint innermost
    cdef int64_t *slot = alarm.words + alarm.run
    size = add_name(alarm.words, slot[RUN_NAME], size)
    size = add_share(alarm.millionths, slot[RUN_TIMEOUT], size)
    rows = look(alarm)
    for position in range(rows):
        innermost = True
        for other in range(rows):
            if seen[other].parent == seen[position].row and seen[other].row != seen[position].row:
                innermost = False
                break
        if not innermost:
            continue
        if told == TOLD:
            left += 1
            continue
        size = add_text(b", " if told else b"", size)
        size = add_path(alarm.words, seen[position].row, size)
        size = add_age((now - seen[position].started) / 1e9, size)
        told += 1
    if left:
        size = add_rest(left, size)
    elif not told:
        size = add_text(b"no section", size)
    return add_text(b"\n", size)


cdef size_t added(int length, size_t size) noexcept nogil:
    """Return how long the text is with what snprintf has added; cut where there is no more room."""
    return size if length < 0 else min(size + length, <size_t>ROOM - 1)


cdef size_t add_text(const char *more, size_t size) noexcept nogil:
    return added(snprintf(text_room + size, ROOM - size, b"%s", more), size)


cdef size_t add_share(int64_t millionths, int64_t timeout, size_t size) noexcept nogil:
    return added(
        snprintf(
            text_room + size, ROOM - size, b" has used %.0f %% of its budget of %g s; open: ",
            millionths / 1e4, timeout / 1e9,
        ),
        size,
    )  # fmt: skip


cdef size_t add_age(double seconds, size_t size) noexcept nogil:
    return added(snprintf(text_room + size, ROOM - size, b" (%.1f s)", seconds), size)


cdef size_t add_rest(int left, size_t size) noexcept nogil:
    return added(snprintf(text_room + size, ROOM - size, b" and %d more", left), size)


cdef size_t add_name(int64_t *words, int64_t name, size_t size) noexcept nogil:
    """Add a name; nothing for one that is not there."""
    cdef int segment
    cdef int64_t *slot
    cdef int length
    if name <= 0 or name > words[HEADER_NAMES]:
        return size
    name -= 1
    segment = find_segment(words, KIND_NAMES, <int>(name // NAMES_EACH))
    if segment < 0:
        return size
    slot = words + <int64_t>segment * SEGMENT_WORDS + (name % NAMES_EACH) * NAME_WORDS
    length = min((<uint16_t *>slot)[0], NAME_MAX)
    return added(snprintf(text_room + size, ROOM - size, b"%.*s", length, <char *>(slot + 1)), size)


cdef size_t add_path(int64_t *words, int64_t row, size_t size) noexcept nogil:
    """Add the names of a row and of those that it stands below, without the run's own unless it is the only one."""
    cdef int64_t rows[DEPTH]
    cdef int depth = 0
    cdef int64_t parent
    while row and depth < DEPTH:
        rows[depth] = row
        depth += 1
        parent = (words[(row << 3) + NODE_PARENT] & REFERENCE_MASK)
        if parent << 3 >= FILE_WORDS:
            break
        row = parent
    if depth > 1:
        depth -= 1
    while depth:
        depth -= 1
        size = add_name(words, words[(rows[depth] << 3) + NODE_PARENT] >> 32, size)
        if depth:
            size = add_text(b" > ", size)
    return size


cdef int find_segment(int64_t *words, int kind, int ordinal) noexcept nogil:
    cdef uint16_t *entry
    cdef int64_t segment
    for segment in range(1, min(words[HEADER_SEGMENTS], <int64_t>SEGMENT_COUNT)):
        entry = <uint16_t *>(words + DIRECTORY_WORDS_AT + segment)
        if entry[0] == kind and entry[1] == ordinal:
            return <int>segment
    return -1


cdef int look(Alarm *alarm) noexcept nogil:
    """Find the rows of a run in which something is open, as far as there is room for them; return how many."""
    cdef int64_t segment
    cdef int64_t *words = alarm.words
    cdef int kind, rows = 0
    for segment in range(1, min(words[HEADER_SEGMENTS], <int64_t>SEGMENT_COUNT)):
        kind = (<uint16_t *>(words + DIRECTORY_WORDS_AT + segment))[0]
        if kind == KIND_HOME:
            rows = look_at(alarm, words + segment * SEGMENT_WORDS + HOME_OPENS_WORDS_AT, HOME_OPENS, rows)
        elif kind == KIND_OPENS:
            rows = look_at(alarm, words + segment * SEGMENT_WORDS, OPENS_EACH, rows)
    return rows


cdef int look_at(Alarm *alarm, int64_t *entry, int entries, int rows) noexcept nogil:
    cdef int64_t *words = alarm.words
    cdef int64_t row
    cdef int position
    for _ in range(entries):
        row = entry[0] & REFERENCE_MASK
        if row and row << 3 < FILE_WORDS and words[(row << 3) + NODE_RUN] == alarm.serial:
            for position in range(rows):
                if seen[position].row == row:
                    if entry[OPEN_STARTED] < seen[position].started:
                        seen[position].started = entry[OPEN_STARTED]
                    break
            else:
                if rows < SEEN:
                    seen[rows].row = row
                    seen[rows].parent = entry[OPEN_PARENT]
                    seen[rows].started = entry[OPEN_STARTED]
                    rows += 1
        entry += OPEN_WORDS
    return rows
