"""The garbage collector's pauses, timed by a function that the collector calls and no signal handler can run in."""


@cython.final
cdef class CollectionTimer:
    """Called before and after each pause of the garbage collector; they never overlap.

    Before a function in Python runs, pending signal handlers do, and what they raise in a callback of the collector is
    lost. Here they do not.
    """

    cdef object environments
    cdef object view
    cdef int64_t *words
    cdef int64_t process
    cdef int64_t began

    def __init__(self, environments, view, process):
        self.environments = environments
        self.view = view
        self.words = <int64_t *>PyMemoryView_GET_BUFFER(view).buf
        self.process = process
        self.began = 0

    def __call__(self, phase, information):
        cdef int64_t elapsed, record
        if phase == "start":
            self.began = algoprof_now()
        elif self.began:
            elapsed = algoprof_now() - self.began
            self.began = 0
            for found in self.environments.open_records:
                record = found
                if elapsed > self.words[record + GC_LONGEST]:
                    self.words[record + GC_LONGEST] = elapsed
            self.words[self.process + GC_PAUSED] += elapsed
            self.words[self.process + GC_PAUSES] += 1
