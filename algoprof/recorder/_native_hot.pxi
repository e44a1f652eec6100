"""The hot paths proper: enter and leave, each with a short way that never pauses, and the way for the rest."""


cdef int64_t writers = 0
cdef Hot active = None


cdef inline int bucket_in_c(int64_t elapsed) noexcept:
    cdef int bits, bucket
    if elapsed < 64:
        return 0
    bits = algoprof_bits(elapsed)
    bucket = bucket_from[bits][algoprof_part(elapsed, bits)]
    return bucket + (bounds[bucket] < elapsed)


def bucket_as_compiled(elapsed):
    """Return what `bucket_of` returns, as the hot path finds it."""
    return bucket_in_c(elapsed)


@cython.final
cdef class Hot:
    """A writer's state as C sees it."""

    cdef object writer
    cdef object current
    cdef object view
    cdef dict holds
    cdef int64_t *words
    cdef int64_t next_span
    cdef int64_t number

    def __init__(self, writer):
        global writers
        writers += 1
        self.number = writers
        self.writer = writer
        self.current = writer.current
        self.holds = writer.holds
        self.view = writer.flight.words
        self.words = <int64_t *>PyMemoryView_GET_BUFFER(self.view).buf
        self.next_span = writer.next_span()

    def take_span(self):
        self.next_span += 1
        return self.next_span

    cdef Lease lease(self):
        """Return what the running thread holds of this writer."""
        global algoprof_lease, algoprof_lease_of, algoprof_thread
        if algoprof_lease == NULL or algoprof_lease_of != self.number:
            self.writer.block()
            found = self.writer.threads.lease
            algoprof_lease = <PyObject *>found
            algoprof_lease_of = self.number
            algoprof_thread = PyThreadState_Get()
        return <Lease>algoprof_lease

    cdef Occurrence enter(self, int64_t number, object name, dict attributes):
        cdef PyObject *value = NULL
        cdef Occurrence top = None, above, occurrence
        cdef Row parent, row = None
        cdef Lease lease = self.lease()
        cdef int64_t *open_
        cdef int64_t entry = 0
        cdef PyThreadState *thread = PyThreadState_Get()
        cdef bint nested = False, reused = False
        PyContextVar_Get(self.current, NULL, &value)
        if <object>value is not None:
            top = <Occurrence>value
        Py_DECREF(value)
        above = top
        while above is not None and above.vacant:
            above = above.above
        if above is not None and (above.closed or above.held is not None):
            above = self.writer.above(above, <object>scope_of(self), lease.block)
        if above is None or above.row.run.ended:
            above = self.writer.runs.implicit_root()
            top = None  # whatever the context holds now, it is not what it held before
        parent = above.row
        if parent.block is lease.block and (
            <PyObject *>above.scope == algoprof_context(thread) or self.writer.is_own(above, None, lease.block)
        ):
            nested = True
            if not above.folding:
                row = parent.last
                if row is None or row.name != number:
                    value = PyDict_GetItem(parent.children, name)
                    row = None if value == NULL else <Row>value
                    parent.last = row
        if row is not None and lease.free_count:
            lease.free_count -= 1
            entry = lease.free[lease.free_count]
        elif row is not None:
            entry = lease.block.take_entry()
        if (
            row is not None
            and attributes is None
            and top is not None
            and top.vacant
            and algoprof_is_alone(algoprof_context(thread), <PyObject *>top, 1 + (top is lease.top))
        ):  # from here on, no other code runs that could record
            occurrence = top
            reused = True
            occurrence.attributes = None
            occurrence.steps = None
            occurrence.slot = 0
        else:
            occurrence = Occurrence.__new__(Occurrence)
            occurrence.task = running_task()
        occurrence.closed, occurrence.vacant = True, False  # until it is all there
        if occurrence.names is not None:
            occurrence.names = None
        occurrence.above = above
        occurrence.name = number
        occurrence.folding = False
        occurrence.flags = NESTED if nested else 0
        if row is None:
            row = self.writer.place(occurrence, above, lease.block)
            entry = row.block.take_entry()
        occurrence.row = row
        occurrence.entry = entry
        self.next_span += 1
        occurrence.span = self.next_span
        open_ = self.words + occurrence.entry
        open_[OPEN_SPAN] = occurrence.span
        open_[OPEN_PARENT] = parent.offset >> 3
        open_[OPEN_PARENT_SPAN] = above.span
        open_[OPEN_ATTRIBUTES] = 0
        if attributes is not None:
            occurrence.slot = lease.take_slot()
            self.writer.keep_attributes(occurrence, attributes)
        occurrence.closed = False
        if not reused:
            set_variable(<PyObject *>self.current, <PyObject *>occurrence)
        lease.top = occurrence
        occurrence.scope = <object>algoprof_context(thread)
        occurrence.started = open_[OPEN_STARTED] = algoprof_now()
        algoprof_publish(open_, (row.offset >> 3) | (occurrence.flags << 32))
        return occurrence

    cdef PyObject *innermost(self) noexcept:
        """Return what the running context holds, borrowed: an occurrence that may be closed, or None."""
        cdef PyObject *lease = algoprof_lease
        cdef PyObject *value = NULL
        if lease != NULL and algoprof_lease_of == self.number and (<Lease>lease).top is not None:
            value = <PyObject *>(<Lease>lease).top
            if not (<Occurrence>value).closed and <PyObject *>(<Occurrence>value).scope == algoprof_context(
                algoprof_thread
            ):
                return value
        if get_quietly(<PyObject *>self.current, NULL, &value) < 0:
            PyErr_Clear()
            return <PyObject *>None
        Py_DECREF(value)  # the context keeps it
        return value

    cdef bint reopen(self, int64_t number, PyObject *name, PyObject *attributes) noexcept:
        """Enter without a pause, in a loop's common case: the occurrence before it is closed and serves again.

        False, and nothing has happened, if it takes `enter`.
        """
        cdef PyObject *context
        cdef PyObject *lease = algoprof_lease
        cdef PyObject *value
        cdef PyObject *above
        cdef PyObject *row
        cdef int64_t *open_
        cdef int64_t entry, slot = 0
        cdef uint8_t *start
        cdef int size
        cdef Occurrence occurrence
        if lease == NULL or algoprof_lease_of != self.number or not (<Lease>lease).free_count:
            return False
        context = algoprof_context(algoprof_thread)
        value = <PyObject *>(<Lease>lease).top
        if value == <PyObject *>None or not (<Occurrence>value).vacant:
            return False
        above = <PyObject *>(<Occurrence>value).above
        while above != <PyObject *>None and (<Occurrence>above).vacant:
            above = <PyObject *>(<Occurrence>above).above
        if (
            above == <PyObject *>None
            or (<Occurrence>above).closed
            or (<Occurrence>above).held is not None
            or (<Occurrence>above).folding
            or <PyObject *>(<Occurrence>above).scope != context
            or <PyObject *>(<Occurrence>above).row.block != <PyObject *>(<Lease>lease).block
            or (<Occurrence>above).row.run.ended
        ):
            return False
        row = <PyObject *>(<Occurrence>above).row.last
        if row == <PyObject *>None or (<Row>row).name != number:
            row = dict_item(<PyObject *>(<Occurrence>above).row.children, name)
            if row == NULL:
                return False
            (<Occurrence>above).row.last = <Row>row
        if not algoprof_is_alone(context, value, 1):
            return False
        if attributes != NULL:
            slot = (<Lease>lease).take_slot()
            if slot == 0:
                return False
            start = <uint8_t *>self.words + slot
            size = encode(attributes, start + 2)
            if size < 0:
                (<Lease>lease).give_slot(slot)
                return False
            (<uint16_t *>start)[0] = <uint16_t>size
        (<Lease>lease).free_count -= 1
        entry = (<Lease>lease).free[(<Lease>lease).free_count]
        self.next_span += 1
        open_ = self.words + entry
        open_[OPEN_SPAN] = self.next_span
        open_[OPEN_PARENT] = (<Occurrence>above).row.offset >> 3
        open_[OPEN_PARENT_SPAN] = (<Occurrence>above).span
        open_[OPEN_ATTRIBUTES] = slot >> 6
        occurrence = <Occurrence>value
        occurrence.slot = slot
        if attributes != NULL:
            occurrence.attributes = <dict>attributes
        if <PyObject *>occurrence.above != above:
            occurrence.above = <Occurrence>above
        if <PyObject *>occurrence.row != row:
            occurrence.row = <Row>row
        if occurrence.steps is not None:
            occurrence.steps = None
        if occurrence.names is not None:
            occurrence.names = None
        occurrence.name = number
        occurrence.folding = False
        occurrence.flags = NESTED
        occurrence.entry = entry
        occurrence.span = self.next_span
        occurrence.scope = <object>context
        occurrence.closed = occurrence.vacant = False
        occurrence.started = open_[OPEN_STARTED] = algoprof_now()
        algoprof_publish(open_, (occurrence.row.offset >> 3) | (<int64_t>NESTED << 32))
        return True

    cdef bint close(self, PyObject *which, Py_ssize_t own, int64_t ended) noexcept:
        """Leave without a pause, in the common case; False, and nothing has happened, if it takes `leave`.

        `own` is how many references to the occurrence the caller knows of.
        """
        cdef PyObject *row = <PyObject *>(<Occurrence>which).row
        cdef PyObject *above = <PyObject *>(<Occurrence>which).above
        cdef PyObject *lease = algoprof_lease
        cdef int64_t elapsed = ended - (<Occurrence>which).started
        cdef int64_t *node
        cdef int bucket
        if (
            lease == NULL
            or algoprof_lease_of != self.number
            or (<Occurrence>which).flags > NESTED
            or (<Occurrence>which).held is not None
            or <PyObject *>(<Row>row).block != <PyObject *>(<Lease>lease).block
            or (<Lease>lease).free_count >= FREE_LIMIT
            or above == <PyObject *>None
            or ((<Occurrence>which).flags and (<Occurrence>above).closed)
            or (<Occurrence>which).steps is not None
            or ((<Occurrence>which).slot and (<Lease>lease).slot_count >= FREE_LIMIT)
            or (<Row>row).run.ended
            or (<Occurrence>which).entry == (<Row>row).scratch_entry
        ):
            return False
        node = self.words + (<Row>row).offset
        if elapsed > node[NODE_LONGEST] or not node[NODE_COUNT]:
            return False
        bucket = bucket_in_c(elapsed)
        (<Occurrence>which).closed = True
        algoprof_begin(node)
        node[NODE_COUNT] += 1
        node[NODE_TOTAL] += elapsed
        node[NODE_HISTOGRAM + bucket] += 1
        if elapsed < node[NODE_SHORTEST]:
            node[NODE_SHORTEST] = elapsed
        algoprof_publish(self.words + (<Occurrence>which).entry, 0)
        if (<Occurrence>which).flags:
            (self.words + (<Occurrence>above).row.offset)[NODE_NESTED] += elapsed
        algoprof_publish(node, node[0] + 1)
        (<Lease>lease).free[(<Lease>lease).free_count] = (<Occurrence>which).entry
        (<Lease>lease).free_count += 1
        if (<Occurrence>which).attributes is not None:
            (<Occurrence>which).attributes = None
            (<Lease>lease).give_slot((<Occurrence>which).slot)
            (<Occurrence>which).slot = 0
        if self.is_nowhere_else(which, <PyObject *>(<Lease>lease).top, own):
            (<Occurrence>which).vacant = True
            (<Occurrence>which).scope = None
        else:
            self.vacate(which, above)
        return True

    cdef bint is_nowhere_else(self, PyObject *which, PyObject *top, Py_ssize_t own) noexcept:
        """Whether no copy of the running context holds an occurrence that is closed now.

        The context itself holds it, or one that is vacant and stands in it, or in another such one.
        """
        cdef PyObject *context = algoprof_context(algoprof_thread)
        if which == top:
            return algoprof_is_alone(context, which, own + 1)
        if top == <PyObject *>None or not algoprof_is_alone(context, top, 1):
            return False
        while (<Occurrence>top).vacant:
            top = <PyObject *>(<Occurrence>top).above
            if top == which:
                return references(which) == 1 + own
            if top == <PyObject *>None or references(top) != 1:
                return False
        return False

    cdef int vacate(self, PyObject *which, PyObject *above) noexcept:
        """Make what a closed occurrence stood in the context's innermost: the occurrence stays in copies alone."""
        cdef PyObject *value = NULL
        if get_quietly(<PyObject *>self.current, NULL, &value) == 0:
            Py_DECREF(value)
            if value == which:
                set_quietly(<PyObject *>self.current, above)
                (<Lease>algoprof_lease).top = None
        if PyErr_Occurred():
            PyErr_Clear()
        return 0

    cdef int leave(self, Occurrence occurrence, object error, int64_t ended) except -1:
        """Close an occurrence; a second time does nothing."""
        if occurrence.closed or <PyObject *>occurrence.row.run.hot != <PyObject *>self:
            return 0
        if error is not None or not self.close(<PyObject *>occurrence, UNKNOWN, ended):
            occurrence.closed = True
            self.writer.leave_slowly(occurrence, ended, error)
        return 0


cdef PyObject *scope_of(Hot hot) except NULL:
    """Return the running context, made if there is none yet; borrowed."""
    cdef PyObject *found = algoprof_context(PyThreadState_Get())
    if found == NULL:
        hot.current.set(hot.current.get())
        found = algoprof_context(PyThreadState_Get())
    return found
