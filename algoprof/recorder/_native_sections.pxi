"""Sections as they are entered and left, and `section`, which finds them by name."""


@cython.no_gc  # it refers to nothing that could refer to it
cdef class SectionBase:
    """What a section does when it is entered and left; `algoprof.sections` makes it whole."""

    cdef readonly str name
    cdef readonly dict attributes
    cdef readonly tuple place
    cdef readonly object writer
    cdef readonly object number
    cdef Hot hot
    cdef int64_t c_number

    def __init__(self, name, attributes=None, place=("", 0)):
        self.name = name
        self.attributes = attributes
        self.place = place
        self.number = 0

    def bind(self, writer, number):
        """Use a writer from now on, which knows the name by a number."""
        self.writer = writer
        self.hot = writer.hot
        self.number = number
        self.c_number = number

    cdef Hot bound(self):
        if self.hot is None or self.hot is not active:
            self.resolve()
        return self.hot

    cdef int resolve_quietly(self) except -1:
        try:
            self.resolve()
        except Exception:
            self.fault()
        return 0

    cdef PyObject *given(self) noexcept:
        """Return the attributes, borrowed; NULL if there are none."""
        return NULL if self.attributes is None else <PyObject *>self.attributes

    cdef int open_here(self) except -1:
        """Open an occurrence for the code that called; what goes wrong is counted."""
        if (
            <PyObject *>self.hot == <PyObject *>active
            and self.hot is not None
            and self.hot.number == algoprof_lease_of
            and algoprof_lease != NULL
            and not algoprof_in_generator(algoprof_thread)
            and self.hot.reopen(self.c_number, <PyObject *>self.number, self.given())
        ):
            return 0
        return self.open_slowly()

    cdef int open_slowly(self) except -1:
        cdef Hot hot
        try:
            hot = self.bound()
            if algoprof_in_generator(PyThreadState_Get()):
                hot.writer.enter_held(self.number, self.attributes, <object>algoprof_frame())
            else:
                hot.enter(self.c_number, self.number, self.attributes)
        except Exception:
            self.fault()
        return 0

    cdef int close_here(self, PyObject *error) except -1:
        """Close the innermost open occurrence of the code that called; what goes wrong is counted."""
        cdef int64_t ended = algoprof_now()
        cdef PyObject *value
        if self.hot is None or <PyObject *>self.hot != <PyObject *>active:
            return 0
        if error == <PyObject *>None and not self.hot.holds:
            value = self.hot.innermost()
            while value != <PyObject *>None and (<Occurrence>value).vacant:
                value = <PyObject *>(<Occurrence>value).above
            if (
                value != <PyObject *>None
                and (<Occurrence>value).name == self.c_number
                and self.hot.close(value, 0, ended)
            ):
                return 0
        return self.close_slowly(<object>error, ended)

    cdef int close_slowly(self, object error, int64_t ended) except -1:
        cdef PyObject *value = NULL
        cdef Occurrence occurrence = None
        cdef Hot hot = self.hot
        try:
            if hot.holds and algoprof_in_generator(PyThreadState_Get()):
                if hot.writer.leave_held(self.number, <object>algoprof_frame(), error):
                    return 0
            PyContextVar_Get(hot.current, NULL, &value)
            if <object>value is not None:
                occurrence = <Occurrence>value
            Py_DECREF(value)
            while occurrence is not None and occurrence.held is None:
                if not occurrence.closed and occurrence.name == self.c_number:
                    break
                occurrence = occurrence.above
            if occurrence is not None and occurrence.held is not None:  # what a generator holds may not be the caller's
                occurrence = hot.writer.innermost(self.number)
            if occurrence is not None:
                hot.leave(occurrence, error, ended)
        except Exception:
            self.fault()
        return 0

    def __enter__(self):
        self.open_here()
        return self

    def __exit__(self, kind, error, traceback):
        self.close_here(<PyObject *>error)

    def __aenter__(self):
        self.open_here()
        return ready(self)

    def __aexit__(self, kind, error, traceback):
        self.close_here(<PyObject *>error)
        return ready(None)

    def enter(self):
        """Open an occurrence, and return it; None if the recorder failed, which is counted."""
        cdef Hot hot
        if (
            self.hot is not None
            and <PyObject *>self.hot == <PyObject *>active
            and self.hot.reopen(self.c_number, <PyObject *>self.number, self.given())
        ):
            return (<Lease>algoprof_lease).top
        try:
            hot = self.bound()
            return hot.enter(self.c_number, self.number, self.attributes)
        except Exception:
            self.fault()
            return None

    def leave(self, opened, error):
        """Close what `enter` opened."""
        cdef int64_t ended = algoprof_now()
        if opened is None and error is not None and self.hot is not None and self.hot is active:
            self.hot.writer.abandon(self.number)
        if type(opened) is not Occurrence or active is None:
            return
        if (<Occurrence>opened).closed or <PyObject *>(<Occurrence>opened).row.run.hot != <PyObject *>active:
            return
        if error is not None or not active.close(<PyObject *>opened, callers, ended):
            self.leave_slowly(<Occurrence>opened, error, ended)

    def references(self, opened, error):
        """Return how many references there are to what is left, as `leave` sees them."""
        return references(<PyObject *>opened)

    cdef int leave_slowly(self, Occurrence occurrence, object error, int64_t ended) except -1:
        try:
            active.leave(occurrence, error, ended)
        except Exception:
            self.fault()
        return 0


cdef dict named = {}
cdef object section_class = None
cdef object section_in_python = None
cdef object no_section = None
cdef tuple no_arguments = ()


@cython.final
cdef class QuickSection:
    """What `section` is here: it finds the names it knows at once, and asks the one in Python for the rest."""

    cdef vectorcallfunc vectorcall
    cdef dict __dict__

    def __cinit__(self):
        self.vectorcall = call_disabled if no_section is not None else call_section

    def __repr__(self):
        return "<function section>"

    def __reduce__(self):
        return "section"


cdef int use_vectorcall() except -1:
    cdef QuickSection probe = QuickSection()
    algoprof_use_vectorcall(QuickSection, <char *>&probe.vectorcall - <char *><PyObject *>probe)
    return 0


use_vectorcall()


cdef object call_section(object self, PyObject *const *arguments, size_t flags, PyObject *keywords):
    cdef PyObject *found
    cdef Py_ssize_t count = PyVectorcall_NARGS(flags)
    if count == 1 and is_text(arguments[0]):
        found = dict_item(<PyObject *>named, arguments[0])
        if found != NULL:
            if keywords == NULL:
                return <object>found
            return with_attributes(<SectionBase>found, gathered(arguments + 1, <tuple>keywords))
    return call_in_python(arguments, count, keywords)


cdef object call_disabled(object self, PyObject *const *arguments, size_t flags, PyObject *keywords):
    cdef Py_ssize_t count = PyVectorcall_NARGS(flags)
    if count == 1 and is_text(arguments[0]):
        return no_section
    return call_in_python(arguments, count, keywords)


cdef object call_in_python(PyObject *const *arguments, Py_ssize_t count, PyObject *keywords):
    plain = [<object>arguments[position] for position in range(count)]
    return section_in_python(*plain, **({} if keywords == NULL else gathered(arguments + count, <tuple>keywords)))


cdef dict gathered(PyObject *const *values, tuple keywords):
    """Return keyword arguments as a dict."""
    cdef Py_ssize_t position
    cdef dict found = {}
    for position in range(len(keywords)):
        found[keywords[position]] = <object>values[position]
    return found


cdef SectionBase with_attributes(SectionBase plain, dict attributes):
    """Return a section of the same name that carries attributes."""
    cdef SectionBase made
    if plain.hot is None or plain.hot is not active:
        plain.resolve_quietly()
    made = <SectionBase>new(section_class, no_arguments)
    made.name = plain.name
    made.place = plain.place
    made.writer = plain.writer
    made.hot = plain.hot
    made.number = plain.number
    made.c_number = plain.c_number
    made.attributes = attributes
    return made


def quickened(function, cls, names, nothing):
    """Return a `section` that finds the names it knows without a pause.

    Args:
        function: the one in Python, which knows everything.
        cls: what it makes.
        names: where it keeps what it has made, by name.
        nothing: what every name gives while recording is disabled, else None.
    """
    global named, section_class, section_in_python, no_section
    named, section_class, section_in_python, no_section = names, cls, function, nothing
    bind_at_no_cost(cls, call_enter, call_exit)
    if nothing is not None:
        bind_at_no_cost(type(nothing), call_enter_disabled, call_exit_disabled)
    made = QuickSection()
    made.__wrapped__ = function
    for name in ("__doc__", "__module__", "__name__", "__qualname__"):
        setattr(made, name, getattr(function, name))
    return made


cdef class NoSectionBase:
    """What is entered and left while recording is disabled."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        pass

    def __aenter__(self):
        return ready(self)

    def __aexit__(self, kind, error, traceback):
        return ready(None)


async def ready(value):
    """Return a value without a pause: what entering is awaited for."""
    return value
