/* The walk through the scan of a JPEG, as jpeg/walk.py has it. */
#include "kernel.h"

/* How many bits of the scan a short table knows: as many as fit, with their codes, into the first
 * cache. All whole symbols in them are taken at once; what is longer is in the caller's tables. */
enum { SHORT = 12, SHORT_DC = 10, ENTRIES = 65536, MOST_BLOCKS = 64 };
enum { END_OF_BLOCK = 1 << 11 };

typedef struct {
    const uint16_t *full;       /* symbol and, above, the length of its code; 0: no such code */
    uint16_t ac[1 << SHORT];    /* bits, and above coefficients to advance; 0: look in `full` */
    uint16_t dc[1 << SHORT_DC]; /* as `full`, where the code is that short */
} Table;

static inline int length_of(uint16_t entry) { return entry >> 8 & 31; }

/* Coefficients to advance by an AC symbol; 0 where there is none such, 64 for the end of block. */
static inline int advance_of(int symbol)
{
    int run = symbol >> 4, size = symbol & 15;
    return symbol == 0 ? 64 : size || run == 15 ? run + 1 : 0;
}

static void make_dc(Table *table, const uint16_t *full)
{
    table->full = full;
    for (uint32_t bits = 0; bits < 1 << SHORT_DC; bits++) {
        uint16_t entry = full[bits << (16 - SHORT_DC)];
        table->dc[bits] = length_of(entry) <= SHORT_DC ? entry : 0;
    }
}

static void make_ac(Table *table, const uint16_t *full)
{
    table->full = full;
    for (uint32_t bits = 0; bits < 1 << SHORT; bits++) {
        int used = 0, advanced = 0, ended = 0;
        while (used < SHORT && !ended) {
            uint16_t entry = full[bits << (16 - SHORT) << used & 0xffff];
            int length = length_of(entry) + (entry & 15), advance = advance_of(entry & 255);
            if (!length_of(entry) || used + length > SHORT || !advance)
                break;
            ended = advance == 64;
            if (!ended && advanced + advance > 63)
                break;
            used += length, advanced += ended ? 0 : advance;
        }
        table->ac[bits] = (uint16_t)(used | advanced << 4 | (ended ? END_OF_BLOCK : 0));
    }
}

/* The next 57 bits at least, zeros after the end. */
static inline uint64_t peek(const uint8_t *stream, Py_ssize_t bytes, int64_t position)
{
    Py_ssize_t at = (Py_ssize_t)(position >> 3);
    if (at + 8 <= bytes)
        return big_endian(stream + at) << (position & 7);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | (at + i < bytes ? stream[at + i] : 0);
    return bits << (position & 7);
}

/* The value that the first `size` bits stand for; 0 where there are none. */
static inline int64_t number(uint64_t bits, int size)
{
    int64_t raw = (int64_t)(bits >> 1 >> (63 - size));
    return raw >> (size ? size - 1 : 0) ? raw : raw - (1 << size) + 1;
}

/* Return the bit after the block that begins at `position`, or -1 where no block can be. */
static inline int64_t block_end(const uint8_t *stream, Py_ssize_t bytes, int64_t position,
                                const Table *dc, const Table *ac, int64_t *difference)
{
    uint64_t bits = peek(stream, bytes, position);
    uint16_t entry = dc->dc[bits >> (64 - SHORT_DC)];
    if (!entry)
        entry = dc->full[bits >> 48];
    int size = entry & 15, index = 1, used = length_of(entry);
    if (!used || (entry & 255) > 15)
        return -1;
    *difference = number(bits << used, size);
    bits <<= used + size, used += size;
    for (;;) {
        if (used > 40) { /* fewer than 16 good bits may be left */
            position += used, used = 0;
            bits = peek(stream, bytes, position);
        }
        unsigned taken = ac->ac[bits >> (64 - SHORT)];
        int next = index + (int)(taken >> 4 & 127), ends = taken & END_OF_BLOCK;
        if (taken && next <= (ends ? 63 : 64)) {
            used += taken & 15, bits <<= taken & 15, index = next;
            if (ends || next == 64)
                return position + used;
            continue;
        }
        entry = ac->full[bits >> 48]; /* a long code, or the block ends amid what was taken */
        int length = length_of(entry) + (entry & 15), advance = advance_of(entry & 255);
        if (!length_of(entry) || !advance)
            return -1;
        used += length, bits <<= length;
        if (advance == 64)
            return position + used;
        index += advance;
        if (index >= 64)
            return index == 64 ? position + used : -1;
    }
}

typedef struct {
    const Table *dc[MOST_BLOCKS], *ac[MOST_BLOCKS];
    const uint8_t *owners;
    Py_ssize_t blocks;
} Mcu;

/* Return the bit after the last MCU, or -1 where the stream does not hold so many. */
static int64_t walk_mcus(const uint8_t *stream, Py_ssize_t bytes, const Mcu *mcu, int64_t mcus,
                         const int64_t *wanted, Py_ssize_t count, int64_t *starts, int64_t *values)
{
    int64_t position = 0, end = (int64_t)bytes * 8, last[MOST_CHANNELS] = {0};
    for (int64_t number = 0; number < mcus; number++) {
        int is_wanted = count > 0 && *wanted == number;
        for (Py_ssize_t block = 0; block < mcu->blocks; block++) {
            int64_t difference = 0;
            if (position >= end)
                return -1;
            if (is_wanted)
                *starts++ = position;
            position = block_end(stream, bytes, position, mcu->dc[block], mcu->ac[block],
                                 &difference);
            if (position < 0)
                return -1;
            last[mcu->owners[block]] += difference;
            if (is_wanted)
                *values++ = last[mcu->owners[block]];
        }
        if (is_wanted)
            *starts++ = position, wanted++, count--;
    }
    return position <= end ? position : -1;
}

PyObject *walk(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer stream, tables, dc, ac, owners, wanted, starts, values;
    Py_ssize_t mcus;
    if (!PyArg_ParseTuple(arguments, "y*y*y*y*y*ny*w*w*", &stream, &tables, &dc, &ac, &owners,
                          &mcus, &wanted, &starts, &values))
        return NULL;
    Py_ssize_t blocks = dc.len, count = tables.len / (ENTRIES * 2), numbers = wanted.len / 8;
    const uint8_t *dc_of = dc.buf, *ac_of = ac.buf, *owner_of = owners.buf;
    const int64_t *number = wanted.buf;
    int good = tables.len == count * ENTRIES * 2 && count <= 8 && blocks > 0
               && blocks <= MOST_BLOCKS && ac.len == blocks && owners.len == blocks
               && stream.len < 1 << 28 && mcus >= 0 && wanted.len == numbers * 8
               && starts.len == numbers * (blocks + 1) * 8 && values.len == numbers * blocks * 8;
    for (Py_ssize_t i = 0; good && i < blocks; i++)
        good = dc_of[i] < count && ac_of[i] < count && owner_of[i] < MOST_CHANNELS;
    for (Py_ssize_t i = 0; good && i < numbers; i++)
        good = number[i] > (i ? number[i - 1] : -1) && number[i] < mcus;
    if (!good) {
        refuse("tables, blocks, MCUs or starts that do not fit");
        goto done;
    }
    Table *made = malloc((size_t)count * sizeof *made);
    if (!made) {
        PyErr_NoMemory();
        goto done;
    }
    int64_t end;
    Py_BEGIN_ALLOW_THREADS
    Mcu mcu = {.owners = owner_of, .blocks = blocks};
    for (Py_ssize_t i = 0; i < blocks; i++) {
        mcu.dc[i] = &made[dc_of[i]], mcu.ac[i] = &made[ac_of[i]];
        if (!memchr(dc_of, dc_of[i], (size_t)i)) /* the first that uses it */
            make_dc(&made[dc_of[i]], (const uint16_t *)tables.buf + dc_of[i] * ENTRIES);
        if (!memchr(ac_of, ac_of[i], (size_t)i))
            make_ac(&made[ac_of[i]], (const uint16_t *)tables.buf + ac_of[i] * ENTRIES);
    }
    end = walk_mcus(stream.buf, stream.len, &mcu, mcus, number, numbers, starts.buf, values.buf);
    free(made);
    Py_END_ALLOW_THREADS
    result = PyLong_FromLongLong(end);
done:
    PyBuffer_Release(&stream);
    PyBuffer_Release(&tables);
    PyBuffer_Release(&dc);
    PyBuffer_Release(&ac);
    PyBuffer_Release(&owners);
    PyBuffer_Release(&wanted);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&values);
    return result;
}

/* Decode the block at `position`; return the bit after it, or -1 where none can be. */
static int64_t read_block(const uint8_t *stream, Py_ssize_t bytes, int64_t position,
                          const uint16_t *dc, const uint16_t *ac, int64_t *block,
                          int64_t *after_dc)
{
    memset(block, 0, 64 * sizeof *block);
    for (int index = 0; index < 64; index++) {
        uint64_t bits = peek(stream, bytes, position);
        uint16_t entry = (index ? ac : dc)[bits >> 48];
        int length = length_of(entry), symbol = entry & 255, size = symbol & 15;
        if (!length || (index ? !advance_of(symbol) : symbol > 15))
            return -1;
        position += length + size;
        if (index && symbol == 0)
            return position;
        index += index ? symbol >> 4 : 0;
        if (index > 63)
            return -1;
        block[index] = number(bits << length, size);
        if (!index)
            *after_dc = position;
    }
    return position;
}

PyObject *read_blocks(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *result = NULL;
    Py_buffer stream, tables, dc, ac, positions, blocks, after_dc, ends;
    if (!PyArg_ParseTuple(arguments, "y*y*y*y*y*w*w*w*", &stream, &tables, &dc, &ac, &positions,
                          &blocks, &after_dc, &ends))
        return NULL;
    Py_ssize_t count = tables.len / (ENTRIES * 2), number_of = dc.len;
    const uint8_t *dc_of = dc.buf, *ac_of = ac.buf;
    const int64_t *position = positions.buf;
    int good = tables.len == count * ENTRIES * 2 && ac.len == number_of
               && positions.len == number_of * 8 && blocks.len == number_of * 64 * 8
               && after_dc.len == number_of * 8 && ends.len == number_of * 8
               && stream.len < 1 << 28;
    for (Py_ssize_t i = 0; good && i < number_of; i++)
        good = dc_of[i] < count && ac_of[i] < count && position[i] >= 0
               && position[i] <= (int64_t)stream.len * 8;
    if (!good) {
        refuse("tables, blocks or places that do not fit");
        goto done;
    }
    int fine = 1;
    Py_BEGIN_ALLOW_THREADS
    const uint16_t *table = tables.buf;
    for (Py_ssize_t i = 0; fine && i < number_of; i++) {
        int64_t *end = (int64_t *)ends.buf + i;
        *end = read_block(stream.buf, stream.len, position[i], table + dc_of[i] * ENTRIES,
                          table + ac_of[i] * ENTRIES, (int64_t *)blocks.buf + i * 64,
                          (int64_t *)after_dc.buf + i);
        fine = *end >= 0;
    }
    Py_END_ALLOW_THREADS
    result = Py_NewRef(fine ? Py_True : Py_False);
done:
    PyBuffer_Release(&stream);
    PyBuffer_Release(&tables);
    PyBuffer_Release(&dc);
    PyBuffer_Release(&ac);
    PyBuffer_Release(&positions);
    PyBuffer_Release(&blocks);
    PyBuffer_Release(&after_dc);
    PyBuffer_Release(&ends);
    return result;
}
