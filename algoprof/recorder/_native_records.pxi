"""What the compiled writer keeps: runs, rows, open occurrences, and what a thread has at hand."""


cdef class RunMark:
    """What the hot paths know of a run."""

    cdef Hot hot
    cdef public bint ended
    cdef readonly object writer

    def __init__(self, writer):
        self.writer = writer
        self.hot = writer.hot
        self.ended = False


@cython.final
cdef class Row:
    """A node of one run in one thread's block, and the rows below it."""

    cdef readonly object block
    cdef readonly int64_t offset  # in words
    cdef readonly RunMark run
    cdef readonly int64_t name
    cdef public int64_t depth
    cdef readonly dict children  # nested, by name
    cdef readonly dict folds  # recursive, by name: the outer row that counts them
    cdef readonly dict beside  # concurrent, by block and name
    cdef int64_t scratch_entry
    cdef Row last  # the child that was entered last

    def __init__(self, block, offset, run, name, depth):
        self.block = block
        self.offset = offset
        self.run = run
        self.name = name
        self.depth = depth
        self.children = {}
        self.folds = {}
        self.beside = {}
        self.scratch_entry = block.scratch_entry


@cython.final
@cython.freelist(64)
cdef class Occurrence:
    """One open occurrence of a section."""

    cdef public Occurrence above
    cdef public dict attributes
    cdef public bint closed
    cdef public int64_t entry  # word offset of its open entry
    cdef public int64_t flags
    cdef public bint folding  # whether it, or one it stands in, recurs
    cdef public object held
    cdef public int64_t name
    cdef public object names  # in a recursion: those of all that are open
    cdef public object task  # a weak reference to the asyncio task that opened it; None outside one
    cdef public object home  # the twin's
    cdef public object section  # the twin's
    cdef public Row row
    cdef public int64_t span
    cdef public int64_t started
    cdef public object steps
    cdef public object scope  # the context that opened it; None where it is vacant
    cdef public int64_t slot  # byte offset of its attributes
    cdef public bint vacant  # closed, and in no context that was copied while it was open: it may be opened again


@cython.final
cdef class Lease:
    """Held by a thread for as long as it lives; its end hands the block to the next thread."""

    cdef readonly object block
    cdef object ended
    cdef list opens
    cdef list slots
    cdef Occurrence top  # entered last, if nobody has set the context's innermost since
    cdef int free_count
    cdef int64_t free[FREE_LIMIT]  # entries that the thread keeps at hand
    cdef int slot_count
    cdef int64_t free_slots[FREE_LIMIT]  # attribute slots

    def __init__(self, block, ended):
        self.block = block
        self.ended = ended
        self.opens = block.opens
        self.slots = block.slots
        self.free_count = self.slot_count = 0

    def __del__(self):
        global algoprof_lease
        if algoprof_lease == <PyObject *>self:
            algoprof_lease = NULL
        while self.free_count:
            self.free_count -= 1
            self.opens.append(self.free[self.free_count])
        while self.slot_count:
            self.slot_count -= 1
            self.slots.append(self.free_slots[self.slot_count])
        self.ended.append(self.block)

    cdef int64_t take_slot(self) noexcept:
        """Return a free attribute slot that is at hand; 0 if there is none."""
        if not self.slot_count:
            return 0
        self.slot_count -= 1
        return self.free_slots[self.slot_count]

    cdef int give_slot(self, int64_t slot) noexcept:
        """Keep a slot at hand, if there is room for it; the slot 0 is none."""
        if slot and self.slot_count < FREE_LIMIT:
            self.free_slots[self.slot_count] = slot
            self.slot_count += 1
            return 1
        return 0
