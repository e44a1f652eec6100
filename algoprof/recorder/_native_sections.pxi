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

    cdef int resolve_quietly(self) noexcept:
        try:
            self.resolve()
        except Exception:
            self.fault()
        return 0

    cdef PyObject *given(self) noexcept:
        """Return the attributes, borrowed; NULL if there are none."""
        return NULL if self.attributes is None else <PyObject *>self.attributes

    cdef int open_here(self) noexcept:
        """Open an occurrence for the code that called; what goes wrong is counted."""
        cdef PyThreadState *thread = PyThreadState_Get()
        if (
            <PyObject *>self.hot == <PyObject *>active
            and self.hot is not None
            and not algoprof_in_generator(thread)
            and self.hot.reopen(thread, self.c_number, <PyObject *>self.number, self.given())
        ):
            return 0
        return self.open_slowly()

    cdef int open_slowly(self) noexcept:
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

    cdef int close_here(self, PyObject *error) noexcept:
        """Close the innermost open occurrence of the code that called; what goes wrong is counted."""
        cdef int64_t ended = algoprof_now()
        cdef PyObject *value
        if self.hot is None or <PyObject *>self.hot != <PyObject *>active:
            return 0
        if error == <PyObject *>None and not self.hot.holds:
            value = self.hot.innermost()
            while value != <PyObject *>None and (<Occurrence>value).closed:
                value = <PyObject *>(<Occurrence>value).above
            if (
                value != <PyObject *>None
                and (<Occurrence>value).name == self.c_number
                and self.hot.close(value, ended)
            ):
                return 0
        return self.close_slowly(<object>error, ended)

    cdef int close_slowly(self, object error, int64_t ended) noexcept:
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
            while occurrence is not None and (occurrence.closed or occurrence.name != self.c_number):
                occurrence = occurrence.above
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
            and self.hot.reopen(PyThreadState_Get(), self.c_number, <PyObject *>self.number, self.given())
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
        if type(opened) is not Occurrence or active is None:
            return
        if (<Occurrence>opened).closed or <PyObject *>(<Occurrence>opened).row.run.hot != <PyObject *>active:
            return
        if error is not None or not active.close(<PyObject *>opened, ended):
            self.leave_slowly(<Occurrence>opened, error, ended)

    cdef int leave_slowly(self, Occurrence occurrence, object error, int64_t ended) noexcept:
        try:
            active.leave(occurrence, error, ended)
        except Exception:
            self.fault()
        return 0


cdef dict named = {}
cdef object section_class = None
cdef object section_in_python = None


@cython.binding(True)  # it takes attributes, as a function does
def section(name, /, **attributes):
    cdef PyObject *found
    if type(name) is str and section_in_python is not None:
        found = PyDict_GetItem(named, name)
        if found != NULL:
            if not attributes:
                return <object>found
            return with_attributes(<SectionBase>found, attributes)
    return section_in_python(name, **attributes)


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


cdef tuple no_arguments = ()


def quickened(function, cls, names):
    """Return a `section` that finds the names it knows without a pause.

    Args:
        function: the one in Python, which knows everything.
        cls: what it makes.
        names: where it keeps what it has made, by name.
    """
    global named, section_class, section_in_python
    named, section_class, section_in_python = names, cls, function
    section.__wrapped__ = function
    for name in ("__doc__", "__module__", "__qualname__", "__annotations__"):
        setattr(section, name, getattr(function, name))
    return section


async def ready(value):
    """Return a value without a pause: what entering is awaited for."""
    return value
