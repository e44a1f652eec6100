/* What the compiled writer reads of the machine and of the interpreter, each with a way out where that is not known.

   The private layouts are mirrored here rather than included, and are believed only after algoprof_learn_layout has
   found them true in the running interpreter. */

#ifndef ALGOPROF_INTERPRETER_H
#define ALGOPROF_INTERPRETER_H

#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#if PY_VERSION_HEX < 0x030C0000
#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE
#endif
#include "internal/pycore_frame.h"
#endif

/* The clock of time.monotonic_ns(). */
static inline int64_t algoprof_now(void) {
#ifdef __APPLE__
    return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#endif
}

/* A value's power of two, and which 32nd of the way to the next one it has gone; for values from 32 on. */
static inline int algoprof_bits(int64_t value) { return 64 - __builtin_clzll((unsigned long long)value); }
static inline int algoprof_part(int64_t value, int bits) { return (int)(value >> (bits - 6)) & 31; }

/* Stores that whoever reads the file from outside, or after a kill, must not see too early. */
static inline void algoprof_publish(int64_t *word, int64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline void algoprof_begin(int64_t *sequence) {
    __atomic_store_n(sequence, *sequence | 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* What the running thread holds: a borrowed lease, the number of the writer that it belongs to, and the thread's own
   state, which lives as long as the lease. */
#ifdef __GLIBC__
#define ALGOPROF_THREAD static __thread __attribute__((tls_model("initial-exec")))
#else
#define ALGOPROF_THREAD static __thread
#endif
ALGOPROF_THREAD PyObject *algoprof_lease;
ALGOPROF_THREAD int64_t algoprof_lease_of;
ALGOPROF_THREAD PyThreadState *algoprof_thread;

/* Whether the Python code that calls us is the body of a generator, plain or asynchronous. */
static inline int algoprof_in_generator(PyThreadState *thread) {
    const int flags = CO_GENERATOR | CO_ASYNC_GENERATOR;
#if PY_VERSION_HEX < 0x030C0000
    struct _PyInterpreterFrame *frame = thread->cframe->current_frame;
    return frame != NULL && (frame->f_code->co_flags & flags) != 0;
#else
    (void)thread;
    PyFrameObject *frame = PyEval_GetFrame();
    if (frame == NULL) return 0;
    PyCodeObject *code = PyFrame_GetCode(frame);
    int found = (code->co_flags & flags) != 0;
    Py_DECREF(code);
    return found;
#endif
}

/* An instance of a class, without the call of its __init__. */
static inline PyObject *algoprof_new(PyObject *cls, PyObject *arguments) {
    return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, arguments, NULL);
}

/* Have the instances of a class be called through the function whose address they keep at an offset. */
static inline void algoprof_use_vectorcall(PyObject *cls, Py_ssize_t offset) {
    PyTypeObject *type = (PyTypeObject *)cls;
    type->tp_vectorcall_offset = offset;
    type->tp_call = PyVectorcall_Call;
    type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
    PyType_Modified(type);
}

/* Whether `with` binds what it enters and leaves by, which allocates, before it calls that. */
#define ALGOPROF_BINDS_TO_ENTER (PY_VERSION_HEX < 0x030E0000)

/* The frame of the Python code that calls us, borrowed. */
static inline PyObject *algoprof_frame(void) { return (PyObject *)PyEval_GetFrame(); }

/* The context of a thread, borrowed; NULL before it has one. */
static inline PyObject *algoprof_context(PyThreadState *thread) { return thread->context; }

/* A context, its immutable map and the map's root node, as CPython 3.11 to 3.14 have them. */
struct algoprof_context_shape {
    PyObject_HEAD
    PyObject *previous;
    PyObject *map;
    PyObject *weak_references;
    int entered;
};
struct algoprof_map_shape {
    PyObject_HEAD
    PyObject *root;
    PyObject *weak_references;
    Py_ssize_t count;
};
struct algoprof_node_shape {
    PyObject_VAR_HEAD
    uint32_t bitmap;
    PyObject *entries[1];
};

static PyTypeObject *algoprof_node_type; /* NULL while the layout is not known */

/* Whether a value is in a node, or in one below it, and each on the way there has one owner. */
static int algoprof_is_below(PyObject *node, PyObject *value, int levels) {
    if (Py_TYPE(node) != algoprof_node_type || Py_REFCNT(node) != 1) return 0;
    PyObject **entries = ((struct algoprof_node_shape *)node)->entries;
    for (Py_ssize_t at = 0, size = Py_SIZE(node); at < size; at += 2) {
        if (entries[at + 1] == value) return 1;
        if (entries[at] == NULL && levels && algoprof_is_below(entries[at + 1], value, levels - 1)) return 1;
    }
    return 0;
}

/* Whether a value is in one context alone: no other context was copied from it since the value was set, and
   nobody else has a reference to it but `own` of ours. Where the layout is not known: no, which costs time only. */
static inline int algoprof_is_alone(PyObject *context, PyObject *value, Py_ssize_t own) {
    PyObject *map, *root;
    if (algoprof_node_type == NULL || context == NULL || Py_REFCNT(value) != 1 + own) return 0;
    map = ((struct algoprof_context_shape *)context)->map;
    if (map == NULL || Py_REFCNT(map) != 1) return 0;
    root = ((struct algoprof_map_shape *)map)->root;
    return algoprof_is_below(root, value, 2);
}

/* Set a context variable; false with an exception set if that fails.

   Before 3.12 the garbage collector may run in the middle of it, and a finalizer that sets a variable of the same
   context then frees the map that is being read: it is held meanwhile. */
static inline int algoprof_set(PyObject *variable, PyObject *value) {
    PyObject *held = NULL, *token;
#if PY_VERSION_HEX < 0x030C0000
    PyObject *context = algoprof_context(PyThreadState_Get());
    if (context != NULL) {
        if (algoprof_node_type != NULL) {
            held = ((struct algoprof_context_shape *)context)->map;
            Py_XINCREF(held);
        } else if ((held = PyContext_CopyCurrent()) == NULL) {
            return 0;
        }
    }
#endif
    token = PyContextVar_Set(variable, value);
    Py_XDECREF(held);
    Py_XDECREF(token);
    return token != NULL;
}

static inline int algoprof_is_named(PyTypeObject *type, const char *name, size_t size) {
    return strcmp(type->tp_name, name) == 0 && (size_t)type->tp_basicsize == size;
}

/* Learn the node's type from a context that holds one variable, if everything looks as it should. */
static void algoprof_learn_layout(PyObject *context) {
#if !defined(Py_GIL_DISABLED) && !defined(PYPY_VERSION) && PY_VERSION_HEX < 0x030F0000
    PyObject *map, *root;
    if (!PyContext_CheckExact(context) ||
        (size_t)Py_TYPE(context)->tp_basicsize != sizeof(struct algoprof_context_shape))
        return;
    map = ((struct algoprof_context_shape *)context)->map;
    if (map == NULL || !algoprof_is_named(Py_TYPE(map), "hamt", sizeof(struct algoprof_map_shape))) return;
    root = ((struct algoprof_map_shape *)map)->root;
    if (root == NULL ||
        !algoprof_is_named(Py_TYPE(root), "hamt_bitmap_node", sizeof(struct algoprof_node_shape) - sizeof(PyObject *)) ||
        Py_SIZE(root) != 2)
        return;
    algoprof_node_type = Py_TYPE(root);
#else
    (void)context;
#endif
}

static void algoprof_forget_layout(void) { algoprof_node_type = NULL; }

#endif
