# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, binding=False
"""The hot paths, compiled: the twin of `_python`, which says what they do; this says how they do it without a pause.

A context's innermost occurrence is kept in a `ContextVar`, as in the twin. Setting one costs more than all the rest of
an enter, so a closed occurrence that nobody but the running context can see is opened again in its place.
"""



cimport cython
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.weakref cimport PyWeakref_NewRef
from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy

from contextvars import Context, ContextVar, copy_context
from sys import modules

from algoprof.profiles.buckets import BOUNDS_NS
from algoprof.recorder import layout as at
from algoprof.recorder.cold import ColdWriter
from algoprof.recorder.tasks import current_task

cdef extern from "Python.h":
    int PyContextVar_Get(object variable, PyObject *default, PyObject **value) except -1
    int get_quietly "PyContextVar_Get"(PyObject *variable, PyObject *default, PyObject **value) noexcept
    void Py_DECREF(PyObject *)
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyThreadState_Get() noexcept
    void PyErr_Clear() noexcept
    PyObject *PyErr_Occurred() noexcept
    ctypedef object (*vectorcallfunc)(object, PyObject *const *, size_t, PyObject *)
    Py_ssize_t PyVectorcall_NARGS(size_t) noexcept
    Py_ssize_t references "Py_REFCNT"(PyObject *) noexcept
    const char *utf8_of "PyUnicode_AsUTF8AndSize"(PyObject *, Py_ssize_t *) noexcept
    bint is_text "PyUnicode_CheckExact"(PyObject *) noexcept
    bint is_integer "PyLong_CheckExact"(PyObject *) noexcept
    bint is_real "PyFloat_CheckExact"(PyObject *) noexcept
    long long integer_of "PyLong_AsLongLongAndOverflow"(PyObject *, int *) noexcept
    double real_of "PyFloat_AS_DOUBLE"(PyObject *) noexcept
    PyObject *dict_item "PyDict_GetItem"(PyObject *, PyObject *) noexcept
    int PyDict_Next(PyObject *, Py_ssize_t *, PyObject **, PyObject **) noexcept
    ctypedef struct Py_buffer:
        void *buf
    Py_buffer *PyMemoryView_GET_BUFFER(object)

cdef extern from "_interpreter.h":
    object new "algoprof_new"(object, object)
    bint set_quietly "algoprof_set"(PyObject *, PyObject *) noexcept
    bint set_variable "algoprof_set"(PyObject *, PyObject *) except 0
    void algoprof_use_vectorcall(object, Py_ssize_t)
    bint BINDS_TO_ENTER "ALGOPROF_BINDS_TO_ENTER"
    int64_t algoprof_now() noexcept nogil
    int algoprof_bits(int64_t) noexcept
    int algoprof_part(int64_t, int) noexcept
    void algoprof_publish(int64_t *, int64_t) noexcept
    void algoprof_begin(int64_t *) noexcept
    int algoprof_in_generator(PyThreadState *) noexcept
    PyObject *algoprof_context(PyThreadState *) noexcept
    PyObject *algoprof_frame() noexcept
    bint algoprof_is_alone(PyObject *, PyObject *, Py_ssize_t) noexcept
    void algoprof_learn_layout(object)
    void algoprof_forget_layout()
    PyObject *algoprof_lease
    int64_t algoprof_lease_of
    PyThreadState *algoprof_thread

cdef enum:
    BOUNDS = 311
    FREE_LIMIT = 128
    UNKNOWN = 1 << 20  # references, so that none is ever taken for the only one

cdef int64_t bounds[BOUNDS + 1]
cdef short bucket_from[64][32]  # by a duration's bits and part: the bucket of the shortest such one; the next has the rest


cdef int fill_tables() except -1:
    cdef int position, bits, part
    for position in range(BOUNDS):
        bounds[position] = BOUNDS_NS[position]
    bounds[BOUNDS] = ((<int64_t>1 << 62) - 1) * 2 + 1
    position = 0
    for bits in range(6, 64):
        for part in range(32):
            while bounds[position] < <int64_t>(32 + part) << (bits - 6):
                position += 1
            bucket_from[bits][part] = <short>position
    return 0


fill_tables()

# The layout's constants, as C knows them.
cdef int NODE_COUNT = at.NODE_COUNT, NODE_TOTAL = at.NODE_TOTAL, NODE_NESTED = at.NODE_NESTED
cdef int NODE_SHORTEST = at.NODE_SHORTEST, NODE_LONGEST = at.NODE_LONGEST, NODE_RECURSIONS = at.NODE_RECURSIONS
cdef int NODE_HISTOGRAM = at.NODE_HISTOGRAM
cdef int OPEN_STARTED = at.OPEN_STARTED, OPEN_PARENT = at.OPEN_PARENT, OPEN_ATTRIBUTES = at.OPEN_ATTRIBUTES
cdef int OPEN_SPAN = at.OPEN_SPAN, OPEN_PARENT_SPAN = at.OPEN_PARENT_SPAN
cdef int GC_PAUSES = at.ENVIRONMENT_GC_PAUSES, GC_PAUSED = at.ENVIRONMENT_GC_PAUSED
cdef int GC_LONGEST = at.ENVIRONMENT_GC_LONGEST
cdef int NESTED = at.NESTED, FIRST = at.FIRST, SLOWEST = at.SLOWEST
cdef int ATTRIBUTES_ROOM = at.SPAN_ATTRIBUTES_BYTES, KEY_MAX = at.KEY_MAX, VALUE_MAX = at.VALUE_MAX


include "_native_records.pxi"
include "_native_attributes.pxi"
include "_native_hot.pxi"


cdef object running_task():
    """Return a weak reference to the asyncio task that runs, always the same for one; None outside of one."""
    if "asyncio.tasks" not in modules:
        return None
    task = current_task()
    return None if task is None else PyWeakref_NewRef(task, None)


class Writer(ColdWriter):
    """Writes what happens into a flight file, every thread into its own block."""

    new_row = Row
    new_occurrence = Occurrence

    def __init__(self, flight, runs):
        super().__init__(flight, runs)
        self.hot = Hot(self)
        self.next_span = self.hot.take_span

    def make_lease(self, block, ended):
        return Lease(block, ended)

    def set_current(self, occurrence):
        cdef Lease lease = (<Hot>self.hot).lease()
        set_variable(<PyObject *>(<Hot>self.hot).current, <PyObject *>occurrence)
        lease.top = None

    def is_own(self, occurrence, scope, block):
        if occurrence.row.block is not block:
            return False
        if scope is not None and occurrence.scope is scope:
            return True
        task = running_task()
        return occurrence.task is task

    def scope(self):
        return <object>scope_of(self.hot)

    def enter(self, name, attributes=None):
        return (<Hot>self.hot).enter(name, name, attributes or None)

    def leave(self, occurrence, error=None):
        cdef int64_t ended = algoprof_now()
        if not self.inherited:
            (<Hot>self.hot).leave(occurrence, error, ended)


def activate(writer):
    """Say who records in this process from now on."""
    global active
    active = None if writer is None else writer.hot


include "_native_sections.pxi"
include "_native_binding.pxi"
include "_native_collections.pxi"
include "_native_alarms.pxi"


cdef int _references_of_a_wrapper():
    """Return how many references a decorated function has to what it opened when it leaves that."""
    names = {"scope": SectionBase(""), "made": object}
    exec("def wrapper():\n    opened = made()\n    return scope.references(opened, None)", names)
    return names["wrapper"]()


cdef int callers = _references_of_a_wrapper()


def _knows_layout():
    """Whether the interpreter's layout tells a context that was copied from one that was not; only then it is used."""
    variable, other, probe = ContextVar("algoprof.probe"), ContextVar("algoprof.other"), object()
    own = references(<PyObject *>probe)
    answers = []

    def ask():
        answers.append(algoprof_is_alone(algoprof_context(PyThreadState_Get()), <PyObject *>probe, own))

    def inside():
        variable.set(probe)
        algoprof_learn_layout(<object>algoprof_context(PyThreadState_Get()))
        ask()
        copied = copy_context()
        ask()
        copied.run(other.set, 1)
        ask()
        del copied
        ask()

    Context().run(inside)
    return answers == [True, False, False, True]


reopens = _knows_layout()
"""Whether closed occurrences are opened again; else each enter sets a context variable, which costs more."""
if not reopens:
    algoprof_forget_layout()
