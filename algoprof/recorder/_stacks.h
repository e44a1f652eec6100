/* The stacks of Python threads, read without the GIL while they run.

   What is read may be freed or rewritten meanwhile. So nothing is dereferenced: memory is copied by the kernel, which
   answers with an error where there is none, and what was copied is taken for what it seems to be, within bounds. A
   thread that runs on may show a stack that it never had as a whole; one that is stuck shows its own.

   Up to CPython 3.12, on Linux. */

#ifndef ALGOPROF_STACKS_H
#define ALGOPROF_STACKS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <Python.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__linux__) && PY_VERSION_HEX < 0x030D0000 && !defined(PYPY_VERSION)
#define ALGOPROF_HAS_STACKS
#include <sys/mman.h>
#include <unistd.h>
#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE
#endif
#include "internal/pycore_frame.h"

enum { ALGOPROF_THREADS = 100, ALGOPROF_FRAMES = 100, ALGOPROF_NAME = 400, ALGOPROF_LINES = 64 * 1024 };

struct algoprof_stacks {
    int copies;       /* a file in memory: the kernel reads from where we may not */
    char *text;       /* what is written */
    size_t size, room;
    const char *own;     /* how the files' paths begin in which threads do that are not shown, each ending in a zero */
    const char *starter; /* the file whose frames are not shown */
    char path[ALGOPROF_NAME], name[ALGOPROF_NAME];
    unsigned char lines[ALGOPROF_LINES];
};

/* Copy from an address that may not be there; returns whether it was. */
static int algoprof_copy(const struct algoprof_stacks *into, void *to, const void *from, size_t size) {
    return from != NULL && pwrite(into->copies, from, size, 0) == (ssize_t)size &&
           pread(into->copies, to, size, 0) == (ssize_t)size;
}

static void algoprof_add(struct algoprof_stacks *to, const char *format, ...) {
    va_list arguments;
    int length;
    va_start(arguments, format);
    length = vsnprintf(to->text + to->size, to->room - to->size, format, arguments);
    va_end(arguments);
    if (length > 0) to->size = to->size + (size_t)length < to->room ? to->size + (size_t)length : to->room - 1;
}

/* A name as ASCII, what is not of that as ?, cut where there is no more room; returns whether it seems to be a name. */
static int algoprof_copy_name(const struct algoprof_stacks *from, char *to, const PyObject *object) {
    PyASCIIObject head;
    union {
        unsigned char ones[ALGOPROF_NAME];
        uint16_t twos[ALGOPROF_NAME];
        uint32_t fours[ALGOPROF_NAME];
    } data;
    Py_ssize_t length, at;
    size_t each;
    if (!algoprof_copy(from, &head, object, sizeof(head)) || !head.state.compact || head.length <= 0) return 0;
    length = head.length < ALGOPROF_NAME ? head.length : ALGOPROF_NAME - 1;
    each = head.state.kind;
    if (each != 1 && each != 2 && each != 4) return 0;
    if (!algoprof_copy(from, &data, (const char *)object + (head.state.ascii ? sizeof(head) : sizeof(PyCompactUnicodeObject)),
                       (size_t)length * each))
        return 0;
    for (at = 0; at < length; at++) {
        uint32_t one = each == 1 ? data.ones[at] : each == 2 ? data.twos[at] : data.fours[at];
        to[at] = one >= ' ' && one < 127 ? (char)one : '?';
    }
    to[length] = '\0';
    return 1;
}

static unsigned algoprof_varint(const unsigned char **at, const unsigned char *end) {
    unsigned value = 0, shift = 0;
    while (*at < end) {
        unsigned char byte = *(*at)++;
        if (shift < 30) value |= (unsigned)(byte & 63) << shift;
        shift += 6;
        if (!(byte & 64)) break;
    }
    return value;
}

static int algoprof_signed_varint(const unsigned char **at, const unsigned char *end) {
    unsigned value = algoprof_varint(at, end);
    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

/* The line of an instruction, as code objects encode it; 0 if that is not to be known. */
static int algoprof_line(struct algoprof_stacks *from, const PyCodeObject *code, Py_ssize_t instruction) {
    PyVarObject head;
    const unsigned char *at = from->lines, *end;
    int line = code->co_firstlineno;
    size_t size;
    if (!algoprof_copy(from, &head, code->co_linetable, sizeof(head)) || head.ob_size <= 0) return 0;
    size = head.ob_size < ALGOPROF_LINES ? (size_t)head.ob_size : (size_t)ALGOPROF_LINES;
    if (!algoprof_copy(from, from->lines, (const char *)code->co_linetable + offsetof(PyBytesObject, ob_sval), size))
        return 0;
    end = from->lines + size;
    while (at < end) {
        unsigned char first = *at++;
        int kind = (first >> 3) & 15, known = kind != 15;
        if (kind == 14) {
            line += algoprof_signed_varint(&at, end);
            algoprof_varint(&at, end);
            algoprof_varint(&at, end);
            algoprof_varint(&at, end);
        } else if (kind == 13) {
            line += algoprof_signed_varint(&at, end);
        } else if (kind >= 10 && kind <= 12) {
            line += kind - 10;
            at += 2;
        } else if (kind < 10) {
            at += 1;
        }
        instruction -= (first & 7) + 1;
        if (instruction < 0) return known ? line : 0;
    }
    return 0;
}

static int algoprof_is_own(const char *path, const char *own) {
    for (; *own; own += strlen(own) + 1)
        if (strncmp(path, own, strlen(own)) == 0) return 1;
    return 0;
}

/* One thread; returns whether it was there. */
static int algoprof_add_thread(struct algoprof_stacks *to, const PyThreadState *thread, int holds) {
    const size_t before = to->size;
    _PyCFrame c_frame;
    _PyInterpreterFrame frame;
    PyCodeObject code;
    int shown = 0, ours = 0, depth;
    if (!algoprof_copy(to, &c_frame, thread->cframe, sizeof(c_frame))) return 0;
    algoprof_add(to, "%s 0x%016lx (most recent call first):\n", holds ? "Current thread" : "Thread", thread->thread_id);
    for (depth = 0; c_frame.current_frame != NULL && depth < 10 * ALGOPROF_FRAMES; depth++) {
        const _PyInterpreterFrame *at = c_frame.current_frame;
        if (!algoprof_copy(to, &frame, at, sizeof(frame))) break;
        c_frame.current_frame = frame.previous;
        if (frame.owner > FRAME_OWNED_BY_FRAME_OBJECT) continue; /* C's own */
        if (!algoprof_copy(to, &code, frame.f_code, sizeof(code))) break;
        if (!algoprof_copy_name(to, to->path, code.co_filename) || !algoprof_copy_name(to, to->name, code.co_name)) break;
        if (strcmp(to->path, to->starter) == 0) continue;
        if (shown < ALGOPROF_FRAMES) {
            Py_ssize_t instruction = frame.prev_instr - _PyCode_CODE(frame.f_code);
            algoprof_add(to, "  File \"%s\", line %d in %s\n", to->path,
                         algoprof_line(to, &code, instruction < 0 ? 0 : instruction), to->name);
        }
        shown++;
        size_t length = strlen(to->path), threading = strlen("/threading.py");
        if (length < threading || strcmp(to->path + length - threading, "/threading.py") != 0)
            ours = algoprof_is_own(to->path, to->own);
    }
    if (ours || !shown) to->size = before;
    return 1;
}
#endif

/* Write the stack of each Python thread, in the form of faulthandler's; returns how long that is. */
static size_t algoprof_stacks(PyInterpreterState *interpreter, char *text, size_t room, const char *own,
                              const char *starter, unsigned long left_out) {
#ifdef ALGOPROF_HAS_STACKS
    static struct algoprof_stacks stacks;
    const PyThreadState *holder = NULL, *at = PyInterpreterState_ThreadHead(interpreter);
    PyThreadState thread;
    int count;
    if (room < 2 || (stacks.copies = memfd_create("algoprof-stacks", MFD_CLOEXEC)) < 0) return 0;
    stacks.text = text;
    stacks.size = 0;
    stacks.room = room;
    stacks.own = own;
    stacks.starter = starter;
#if PY_VERSION_HEX < 0x030C0000
    holder = _PyThreadState_UncheckedGet(); /* of the GIL, whichever thread asks */
#endif
    for (count = 0; at != NULL && count < ALGOPROF_THREADS; count++) {
        if (!algoprof_copy(&stacks, &thread, at, sizeof(thread))) break;
        if (thread.thread_id != left_out && !algoprof_add_thread(&stacks, &thread, at == holder)) break;
        at = thread.next;
    }
    close(stacks.copies);
    return stacks.size;
#else
    (void)interpreter, (void)text, (void)room, (void)own, (void)starter, (void)left_out;
    return 0;
#endif
}

#endif
