/* Moves and compares runs of bits, and puts the byte stuffing of a JPEG's scan in and out, as
 * jpeg/splice.py and jpeg/scan.py have it. */
#include "kernel.h"

/* The 8 bytes from bit `position` on; 9 bytes from its byte on must be there. */
static inline uint64_t eight(const uint8_t *bytes, int64_t position)
{
    const uint8_t *at = bytes + (position >> 3);
    int shift = (int)(position & 7);
    return big_endian(at) << shift | (uint64_t)at[8] >> (8 - shift);
}

static inline unsigned bit(const uint8_t *bytes, int64_t position)
{
    return bytes[position >> 3] >> (7 - (position & 7)) & 1;
}

static inline void set_bit(uint8_t *bytes, int64_t position, unsigned value)
{
    unsigned shift = 7 - (unsigned)(position & 7);
    bytes[position >> 3] = (uint8_t)((bytes[position >> 3] & ~(1u << shift)) | value << shift);
}

/* Single bits up to a whole byte of `to`, then eight bytes at a time, then single bits again. */
static void copy_run(const uint8_t *from, int64_t from_at, int64_t count, uint8_t *to,
                     int64_t to_at)
{
    for (; count > 0 && to_at & 7; count--)
        set_bit(to, to_at++, bit(from, from_at++));
    if (!(from_at & 7)) {
        memcpy(to + (to_at >> 3), from + (from_at >> 3), (size_t)(count >> 3));
        from_at += count & ~7, to_at += count & ~7, count &= 7;
    }
    for (; count >= 80; count -= 64, from_at += 64, to_at += 64) {
        uint64_t value = eight(from, from_at);
        uint8_t *at = to + (to_at >> 3);
        for (int i = 0; i < 8; i++)
            at[i] = (uint8_t)(value >> (56 - 8 * i));
    }
    for (; count > 0; count--)
        set_bit(to, to_at++, bit(from, from_at++));
}

static int runs_are_same(const uint8_t *one, int64_t one_at, const uint8_t *other,
                         int64_t other_at, int64_t count)
{
    for (; count >= 80; count -= 64, one_at += 64, other_at += 64)
        if (eight(one, one_at) != eight(other, other_at))
            return 0;
    for (; count > 0; count--)
        if (bit(one, one_at++) != bit(other, other_at++))
            return 0;
    return 1;
}

static int run_fits(const Py_buffer *view, Py_ssize_t at, Py_ssize_t count)
{
    return view->len < 1 << 30 && at >= 0 && count >= 0 && at <= view->len * 8
           && count <= view->len * 8 - at;
}

PyObject *copy_bits(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer from, to;
    Py_ssize_t from_at, count, to_at;
    if (!PyArg_ParseTuple(arguments, "y*nnw*n", &from, &from_at, &count, &to, &to_at))
        return NULL;
    if (!run_fits(&from, from_at, count) || !run_fits(&to, to_at, count)) {
        refuse("bits beyond the end");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    copy_run(from.buf, from_at, count, to.buf, to_at);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&from);
    PyBuffer_Release(&to);
    return result;
}

PyObject *same_bits(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer one, other;
    Py_ssize_t one_at, other_at, count;
    if (!PyArg_ParseTuple(arguments, "y*ny*nn", &one, &one_at, &other, &other_at, &count))
        return NULL;
    if (!run_fits(&one, one_at, count) || !run_fits(&other, other_at, count)) {
        refuse("bits beyond the end");
        goto done;
    }
    int same;
    Py_BEGIN_ALLOW_THREADS
    same = runs_are_same(one.buf, one_at, other.buf, other_at, count);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(same ? Py_True : Py_False);
done:
    PyBuffer_Release(&one);
    PyBuffer_Release(&other);
    return result;
}

static inline int has_ff(uint64_t eight_bytes)
{
    uint64_t inverted = ~eight_bytes; /* a byte of zeros where there was 0xFF */
    return ((inverted - 0x0101010101010101u) & ~inverted & 0x8080808080808080u) != 0;
}

/* Copy eight bytes at a time as long as none is 0xFF; return how many bytes. */
static inline Py_ssize_t copy_plain(const uint8_t *from, Py_ssize_t bytes, uint8_t *to)
{
    Py_ssize_t at = 0;
    uint64_t eight_bytes;
    for (; bytes - at >= 8 && (memcpy(&eight_bytes, from + at, 8), !has_ff(eight_bytes)); at += 8)
        memcpy(to + at, &eight_bytes, 8);
    return at;
}

PyObject *unstuff(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer data, out;
    Py_ssize_t start, end;
    if (!PyArg_ParseTuple(arguments, "y*nnw*", &data, &start, &end, &out))
        return NULL;
    if (start < 0 || start > end || end > data.len || out.len < end - start) {
        refuse("a piece beyond the end, or no room for it");
        goto done;
    }
    Py_ssize_t written = 0;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *from = data.buf;
    uint8_t *to = out.buf;
    for (Py_ssize_t at = start; at < end; at++) {
        Py_ssize_t plain = copy_plain(from + at, end - at, to + written);
        at += plain, written += plain;
        if (at == end)
            break;
        to[written++] = from[at];
        if (from[at] == 0xff && (++at == end || from[at] != 0)) {
            written = -1;
            break;
        }
    }
    Py_END_ALLOW_THREADS
    result = PyLong_FromSsize_t(written);
done:
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    return result;
}

PyObject *stuff(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer data, out;
    if (!PyArg_ParseTuple(arguments, "y*w*", &data, &out))
        return NULL;
    if (out.len / 2 < data.len) {
        refuse("not twice as much room");
        goto done;
    }
    Py_ssize_t written = 0;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *from = data.buf;
    uint8_t *to = out.buf;
    for (Py_ssize_t at = 0; at < data.len; at++) {
        Py_ssize_t plain = copy_plain(from + at, data.len - at, to + written);
        at += plain, written += plain;
        if (at == data.len)
            break;
        to[written++] = from[at];
        if (from[at] == 0xff)
            to[written++] = 0;
    }
    Py_END_ALLOW_THREADS
    result = PyLong_FromSsize_t(written);
done:
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    return result;
}

PyObject *find_marker(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer data;
    Py_ssize_t start;
    if (!PyArg_ParseTuple(arguments, "y*n", &data, &start))
        return NULL;
    if (start < 0 || start > data.len) {
        refuse("beyond the end");
        goto done;
    }
    Py_ssize_t found = -1;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *bytes = data.buf, *last = bytes + data.len - 1, *at = bytes + start;
    for (; at < last && (at = memchr(at, 0xff, (size_t)(last - at))); at++)
        if (at[1] != 0 && at[1] != 0xff && (at[1] < 0xd0 || at[1] > 0xd7)) {
            found = at - bytes;
            break;
        }
    Py_END_ALLOW_THREADS
    result = PyLong_FromSsize_t(found);
done:
    PyBuffer_Release(&data);
    return result;
}
