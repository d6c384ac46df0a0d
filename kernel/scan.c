/* The walk through the scan of a JPEG, as jpeg/walk.py has it. */
#include "kernel.h"

enum { END_OF_BLOCK = 127, IMPOSSIBLE = 126 };

/* The next 57 bits at least, zeros after the end. */
static inline uint64_t peek(const uint8_t *stream, Py_ssize_t bytes, int64_t position)
{
    Py_ssize_t at = (Py_ssize_t)(position >> 3);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | (at + i < bytes ? stream[at + i] : 0);
    return bits << (position & 7);
}

static inline uint64_t peek_within(const uint8_t *stream, int64_t position)
{
    const uint8_t *p = stream + (position >> 3);
    uint64_t bits = (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40
                    | (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16
                    | (uint64_t)p[6] << 8 | (uint64_t)p[7];
    return bits << (position & 7);
}

/* Return the bit after the block that begins at `position`, or -1 where no block can be. An entry
 * has at most 31 bits to advance, and a sound one 1 to 16 coefficients. */
static inline int64_t block_end(const uint8_t *stream, Py_ssize_t bytes, int64_t position,
                                const int32_t *dc, const int32_t *ac)
{
    uint64_t bits = peek(stream, bytes, position);
    int32_t entry = dc[bits >> 48];
    int used = entry & 31, index = 1;
    if (entry >> 8 == IMPOSSIBLE)
        return -1;
    bits <<= used;
    while (index < 64) {
        if (used > 40) { /* fewer than 16 good bits may be left */
            position += used;
            used = 0;
            bits = (position >> 3) + 8 <= bytes ? peek_within(stream, position)
                                                : peek(stream, bytes, position);
        }
        entry = ac[bits >> 48];
        used += entry & 31;
        bits <<= entry & 31;
        uint32_t advance = (uint32_t)entry >> 8;
        if (advance - 1 >= 64)
            return advance == END_OF_BLOCK ? position + used : -1;
        index += (int)advance;
    }
    return index == 64 ? position + used : -1;
}

PyObject *walk(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer stream, tables, dc, ac, starts;
    if (!PyArg_ParseTuple(arguments, "y*y*y*y*w*", &stream, &tables, &dc, &ac, &starts))
        return NULL;
    Py_ssize_t blocks = dc.len, count = tables.len / (65536 * 4), wanted = starts.len / 8;
    const uint8_t *dc_of = dc.buf, *ac_of = ac.buf;
    int good = tables.len == count * 65536 * 4 && starts.len == wanted * 8 && wanted > 0
               && blocks > 0 && blocks <= 64 && ac.len == blocks && stream.len < 1 << 28;
    for (Py_ssize_t i = 0; good && i < blocks; i++)
        good = dc_of[i] < count && ac_of[i] < count;
    if (!good) {
        refuse("tables, blocks or starts of another length");
        goto done;
    }
    int64_t found = 0;
    Py_BEGIN_ALLOW_THREADS
    const int32_t *table = tables.buf;
    int64_t *start = starts.buf, position = 0, end = (int64_t)stream.len * 8;
    Py_ssize_t phase = 0;
    while (position >= 0 && position <= end) {
        start[found++] = position;
        if (found == wanted || position == end)
            break;
        position = block_end(stream.buf, stream.len, position, table + dc_of[phase] * 65536,
                             table + ac_of[phase] * 65536);
        phase = phase + 1 == blocks ? 0 : phase + 1;
    }
    Py_END_ALLOW_THREADS
    result = PyLong_FromLongLong(found);
done:
    PyBuffer_Release(&stream);
    PyBuffer_Release(&tables);
    PyBuffer_Release(&dc);
    PyBuffer_Release(&ac);
    PyBuffer_Release(&starts);
    return result;
}
