"""What `with` looks up of a section, bound to it without the allocation that CPython pays for a bound method."""


@cython.final
@cython.no_gc  # what it refers to, a section, is not collected either
@cython.freelist(32)
cdef class BoundMethod:
    """A section's `__enter__` or `__exit__`, called at once, and in all else what the method itself is when bound."""

    cdef vectorcallfunc vectorcall
    cdef object section
    cdef object method
    cdef object __weakref__

    cdef object plain(self):
        return self.method.__get__(self.section, type(self.section))

    def __getattribute__(self, name):
        return getattr(self.plain(), name)

    def __repr__(self):
        return repr(self.plain())

    def __hash__(self):
        return hash(self.plain())

    def __eq__(self, other):
        return self.plain() == (<BoundMethod>other).plain() if type(other) is BoundMethod else NotImplemented


@cython.final
cdef class SectionMethod:
    """Binds a method to the instances of one class; for that class and for subclasses it is the method itself."""

    cdef vectorcallfunc vectorcall
    cdef object cls
    cdef object method

    def __get__(self, instance, owner):
        cdef BoundMethod bound
        if type(instance) is not self.cls:
            return self.method.__get__(instance, owner)
        bound = BoundMethod.__new__(BoundMethod)
        bound.vectorcall = self.vectorcall
        bound.section = instance
        bound.method = self.method
        return bound


cdef object call_enter(object self, PyObject *const *arguments, size_t flags, PyObject *keywords):
    if PyVectorcall_NARGS(flags) or keywords != NULL:
        return call_plainly(self, arguments, PyVectorcall_NARGS(flags), keywords)
    (<SectionBase>(<BoundMethod>self).section).open_here()
    return (<BoundMethod>self).section


cdef object call_exit(object self, PyObject *const *arguments, size_t flags, PyObject *keywords):
    if PyVectorcall_NARGS(flags) != 3 or keywords != NULL:
        return call_plainly(self, arguments, PyVectorcall_NARGS(flags), keywords)
    (<SectionBase>(<BoundMethod>self).section).close_here(arguments[1])
    return None


cdef object call_enter_disabled(object self, PyObject *const *arguments, size_t flags, PyObject *keywords):
    if PyVectorcall_NARGS(flags) or keywords != NULL:
        return call_plainly(self, arguments, PyVectorcall_NARGS(flags), keywords)
    return (<BoundMethod>self).section


cdef object call_exit_disabled(object self, PyObject *const *arguments, size_t flags, PyObject *keywords):
    if PyVectorcall_NARGS(flags) != 3 or keywords != NULL:
        return call_plainly(self, arguments, PyVectorcall_NARGS(flags), keywords)
    return None


cdef object call_plainly(object self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords):
    """Call the method itself, which says what is wrong with its arguments."""
    positional = [<object>arguments[position] for position in range(count)]
    by_keyword = {} if keywords == NULL else gathered(arguments + count, <tuple>keywords)
    return (<BoundMethod>self).plain()(*positional, **by_keyword)


cdef SectionMethod method_of(object cls, object method, vectorcallfunc function):
    cdef SectionMethod made = SectionMethod()
    made.cls = cls
    made.method = method
    made.vectorcall = function
    return made


cdef int bind_at_no_cost(object cls, vectorcallfunc enter, vectorcallfunc leave) except -1:
    """Have `with` bind what it enters and leaves an instance of a class by without a pause."""
    if BINDS_TO_ENTER:
        cls.__enter__ = method_of(cls, cls.__enter__, enter)
        cls.__exit__ = method_of(cls, cls.__exit__, leave)
    return 0


cdef int use_bound_vectorcall() except -1:
    cdef BoundMethod probe = BoundMethod.__new__(BoundMethod)
    algoprof_use_vectorcall(BoundMethod, <char *>&probe.vectorcall - <char *><PyObject *>probe)
    return 0


use_bound_vectorcall()
