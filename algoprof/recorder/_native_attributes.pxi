"""Attributes as bytes, where they are plain and short."""


cdef int encode(PyObject *attributes, uint8_t *start) noexcept:
    """Write attributes as `layout.encode_attributes` does, and return their size; -1 if it needs that one."""
    cdef uint8_t *to = start
    cdef const char *text
    cdef Py_ssize_t position = 0, size
    cdef PyObject *key
    cdef PyObject *value
    cdef int overflow = 0
    cdef long long integer
    cdef double real
    while PyDict_Next(attributes, &position, &key, &value):
        text = text_of(key, &size)
        if text == NULL or size > KEY_MAX or (to - start) + size + 3 > ATTRIBUTES_ROOM:
            return -1
        to[0] = <uint8_t>size
        memcpy(to + 3, text, size)
        if is_text(value):
            to[1] = c"s"
            text = text_of(value, &size)
            if text == NULL or size > VALUE_MAX:
                return -1
        elif is_integer(value):
            to[1] = c"i"
            integer = integer_of(value, &overflow)
            if overflow:
                return -1
            text, size = <const char *>&integer, 8
        elif is_real(value):
            to[1] = c"f"
            real = real_of(value)
            text, size = <const char *>&real, 8
        else:
            return -1
        if (to - start) + to[0] + size + 5 > ATTRIBUTES_ROOM:
            return -1
        to[2] = <uint8_t>size
        memcpy(to + 3 + to[0], text, size)
        to += 3 + to[0] + size
    return <int>(to - start)


cdef const char *text_of(PyObject *text, Py_ssize_t *size) noexcept:
    """Return the UTF-8 of a text, and its size; NULL if it has none."""
    cdef const char *found = utf8_of(text, size)
    if found == NULL:
        PyErr_Clear()
    return found
