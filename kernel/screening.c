/* What ranking does to every subpixel, as screening.py has it: integers, and single floats in the
 * same order of operations (the build forbids to contract them), so that the bits are the same. */
#include "kernel.h"

enum {
    BLOCK_PX = 16,
    BLOCK_MOST = BLOCK_PX * MOST_CHANNELS,
    SOME = 16,      /* at a time */
    BLOCKS = 16384, /* sums of so many clipped values stay within 31 bits */
    PHASE_LIMIT = 1 << 16,
};

static Py_ssize_t blocks_of(Py_ssize_t pixels) { return (pixels + BLOCK_PX - 1) / BLOCK_PX; }

/* ---- sums over blocks */

static inline uint32_t clipped(int32_t value, uint32_t limit)
{
    uint32_t size = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    return size < limit ? size : limit;
}

FAST static void add_clipped_32(const int32_t *restrict values, const uint32_t *restrict limit,
                                uint32_t *restrict sum, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        sum[i] += clipped(values[i], limit[i]);
}

FAST static void add_clipped_16(const int16_t *restrict values, const uint32_t *restrict limit,
                                uint32_t *restrict sum, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        sum[i] += clipped(values[i], limit[i]);
}

PyObject *block_sums(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given[3], *result = NULL;
    Py_buffer values, limits, out;
    if (!PyArg_ParseTuple(arguments, "OOO", &given[0], &given[1], &given[2]))
        return NULL;
    if (take_array(given[0], &values, "i", 4, 3, 0) < 0) {
        PyErr_Clear();
        if (take_array(given[0], &values, "h", 2, 3, 0) < 0)
            return NULL;
    }
    if (take_array(given[1], &limits, "i", 4, 1, 0) < 0)
        goto without_limits;
    if (take_array(given[2], &out, "i", 4, 3, 1) < 0)
        goto without_out;
    if (is_band(&values) < 0)
        goto done;
    Py_ssize_t rows = values.shape[0], width = values.shape[1], channels = values.shape[2];
    Py_ssize_t n = width * channels, across = blocks_of(width);
    if (limits.shape[0] != channels || !has_shape(&out, blocks_of(rows), across, channels)) {
        refuse("one limit a channel, one sum a block and channel");
        goto done;
    }
    uint32_t *sums = malloc((size_t)(2 * n) * sizeof *sums), *limit = sums + n;
    if (!sums) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < n; i++)
        limit[i] = ((uint32_t *)limits.buf)[i % channels];
    uint32_t *block = out.buf;
    for (Py_ssize_t top = 0; top < rows; top += BLOCK_PX, block += across * channels) {
        memset(sums, 0, (size_t)n * sizeof *sums);
        memset(block, 0, (size_t)(across * channels) * sizeof *block);
        for (Py_ssize_t y = top; y < rows && y < top + BLOCK_PX; y++)
            if (values.itemsize == 4)
                add_clipped_32((int32_t *)values.buf + y * n, limit, sums, n);
            else
                add_clipped_16((int16_t *)values.buf + y * n, limit, sums, n);
        for (Py_ssize_t x = 0; x < width; x++)
            for (Py_ssize_t c = 0; c < channels; c++)
                block[x / BLOCK_PX * channels + c] += sums[x * channels + c];
    }
    free(sums);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&out);
without_out:
    PyBuffer_Release(&limits);
without_limits:
    PyBuffer_Release(&values);
    return result;
}

/* ---- sums over each position within a block */

/* A band's rows as single floats, and the inverse spreads of its blocks. */
typedef struct {
    const void *values;
    Py_ssize_t value_bytes;
    const float *inverse; /* (blocks down, blocks across, channels) */
} Field;

/* The inverse spreads of the blocks of row y, one for each value, times `scale`. */
static void spread_out(const Field *field, Py_ssize_t y, Py_ssize_t width, Py_ssize_t channels,
                       float scale, float *restrict wide)
{
    const float *row = field->inverse + y / BLOCK_PX * blocks_of(width) * channels;
    for (Py_ssize_t x = 0; x < width; x++)
        for (Py_ssize_t c = 0; c < channels; c++)
            *wide++ = row[x / BLOCK_PX * channels + c] * scale;
}

static inline void add_phases(const int32_t *restrict values, const float *restrict wide,
                              Py_ssize_t blocks, Py_ssize_t n, int32_t *restrict total,
                              int32_t *restrict size)
{
    for (Py_ssize_t block = 0; block < blocks; block++, values += n, wide += n)
        for (Py_ssize_t i = 0; i < n; i++) {
            float level = (float)values[i] * wide[i];
            level = level < PHASE_LIMIT ? level : PHASE_LIMIT;
            level = level > -PHASE_LIMIT ? level : -PHASE_LIMIT;
            int32_t whole = (int32_t)level;
            total[i] += whole;
            size[i] += whole < 0 ? -whole : whole;
        }
}

static inline void widened(const int16_t *restrict from, int32_t *restrict to, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        to[i] = from[i];
}

/* One row of whole blocks; `room` holds a few blocks of 16-bit values, widened. */
FAST static void phase_row(const Field *field, const float *wide, Py_ssize_t from, Py_ssize_t blocks,
                           Py_ssize_t n, int64_t *total, int64_t *size)
{
    int32_t sums[BLOCK_MOST], sizes[BLOCK_MOST], room[SOME * BLOCK_MOST];
    for (Py_ssize_t start = 0; start < blocks; start += BLOCKS) {
        Py_ssize_t stop = blocks - start < BLOCKS ? blocks : start + BLOCKS;
        memset(sums, 0, sizeof sums);
        memset(sizes, 0, sizeof sizes);
        for (Py_ssize_t block = start; block < stop; block += SOME) {
            Py_ssize_t some = stop - block < SOME ? stop - block : SOME;
            const int32_t *values = room;
            if (field->value_bytes == 4)
                values = (const int32_t *)field->values + from + block * n;
            else
                widened((const int16_t *)field->values + from + block * n, room, some * n);
            add_phases(values, wide + block * n, some, n, sums, sizes);
        }
        for (Py_ssize_t i = 0; i < n; i++)
            total[i] += sums[i], size[i] += sizes[i];
    }
}

PyObject *phase_sums(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given[4], *result = NULL;
    Py_buffer values, inverse, total, size;
    double scale;
    if (!PyArg_ParseTuple(arguments, "OOdOO", &given[0], &given[1], &scale, &given[2], &given[3]))
        return NULL;
    if (take_array(given[0], &values, "i", 4, 3, 0) < 0) {
        PyErr_Clear();
        if (take_array(given[0], &values, "h", 2, 3, 0) < 0)
            return NULL;
    }
    if (take_array(given[1], &inverse, "f", 4, 3, 0) < 0)
        goto without_inverse;
    if (take_array(given[2], &total, "lq", 8, 3, 1) < 0)
        goto without_total;
    if (take_array(given[3], &size, "lq", 8, 3, 1) < 0)
        goto without_size;
    if (is_band(&values) < 0)
        goto done;
    Py_ssize_t rows = values.shape[0], width = values.shape[1], channels = values.shape[2];
    if (!has_shape(&inverse, blocks_of(rows), blocks_of(width), channels)
        || !has_shape(&total, BLOCK_PX, BLOCK_PX, channels)
        || !has_shape(&size, BLOCK_PX, BLOCK_PX, channels)) {
        refuse("one inverse spread a block and channel, one sum a position and channel");
        goto done;
    }
    float *wide = malloc((size_t)(width * channels) * sizeof *wide);
    if (!wide) {
        PyErr_NoMemory();
        goto done;
    }
    Field field = {values.buf, values.itemsize, inverse.buf};
    Py_ssize_t n = BLOCK_PX * channels;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t y = 0; y < rows / BLOCK_PX * BLOCK_PX; y++) {
        if (y % BLOCK_PX == 0)
            spread_out(&field, y, width, channels, (float)scale, wide);
        phase_row(&field, wide, y * width * channels, width / BLOCK_PX, n,
                  (int64_t *)total.buf + y % BLOCK_PX * n, (int64_t *)size.buf + y % BLOCK_PX * n);
    }
    free(wide);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&size);
without_size:
    PyBuffer_Release(&total);
without_total:
    PyBuffer_Release(&inverse);
without_inverse:
    PyBuffer_Release(&values);
    return result;
}

/* ---- what is beyond the screen */

typedef struct {
    float screen, share, most;
} Rules;

typedef struct {
    int32_t *places;
    float *levels;
    Py_ssize_t count;
} Found;

/* Some blocks' row of n values; a bit of `beyond` for either evidence. */
static inline void weigh(const int32_t *restrict residual, const int16_t *restrict steady,
                         const float *restrict wide, const float *restrict calm_wide,
                         const float *restrict bias, const float *restrict factor,
                         const float *restrict calm_bias, const float *restrict calm_factor,
                         Rules rules, Py_ssize_t n, float *restrict levels, float *restrict calms,
                         uint8_t *restrict beyond)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        float calm = (float)steady[i] * calm_wide[i];
        calm -= calm_bias[i];
        calm *= calm_factor[i];
        float level = (float)residual[i] * wide[i];
        level -= bias[i];
        level *= factor[i];
        float more = calm > 0.0f ? calm : 0.0f;
        more = more < rules.most ? more : rules.most;
        more *= rules.share;
        level += __builtin_copysignf(more, level);
        levels[i] = level;
        calms[i] = calm;
    }
    for (Py_ssize_t i = 0; i < n; i++)
        beyond[i] = (uint8_t)((__builtin_fabsf(levels[i]) >= rules.screen)
                              | (calms[i] >= rules.screen) << 1);
}

/* What has this bit, from place `at` on. Of eight neighbours one in five has any; there each is
 * written where the next one goes, which is no further than its own place, and counted if it has. */
static inline void gather(const uint8_t *restrict beyond, int bit, const float *restrict levels,
                          Py_ssize_t at, Py_ssize_t n, Found *found)
{
    int32_t *restrict place = found->places;
    float *restrict level = found->levels;
    Py_ssize_t count = found->count;
    for (Py_ssize_t start = 0; start < n; start += 8) {
        uint64_t eight;
        memcpy(&eight, beyond + start, 8); /* what is behind n is 0 */
        if (!(eight >> bit & 0x0101010101010101u))
            continue;
        Py_ssize_t stop = n - start < 8 ? n : start + 8;
        for (Py_ssize_t i = start; i < stop; i++) {
            place[count] = (int32_t)(at + i);
            level[count] = levels[i];
            count += beyond[i] >> bit & 1;
        }
    }
    found->count = count;
}

/* One row; `phases` are those of the row: bias and factor, then those of the calm, each (16, 16,
 * channels) with the next 16 x 16 behind. Some blocks at a time, since short loops cost more. */
FAST static void screen_row(const int32_t *residual, const int16_t *steady, const float *wide,
                            const float *calm_wide, const float *phases, Rules rules, Py_ssize_t at,
                            Py_ssize_t values, Py_ssize_t n, Found *off, Found *calm)
{
    float levels[SOME * BLOCK_MOST], calms[SOME * BLOCK_MOST], row[4][SOME * BLOCK_MOST];
    uint8_t beyond[SOME * BLOCK_MOST];
    for (int i = 0; i < 4; i++)
        for (int block = 0; block < SOME; block++)
            memcpy(row[i] + block * n, phases + i * BLOCK_PX * n, (size_t)n * sizeof **row);
    for (Py_ssize_t i = 0; i < values; i += SOME * n) {
        Py_ssize_t some = SOME * n;
        if (values - i < some) { /* the last blocks of the row are fewer, or narrower */
            some = values - i;
            memset(beyond, 0, sizeof beyond);
        }
        weigh(residual + i, steady + i, wide + i, calm_wide + i, row[0], row[1], row[2], row[3], rules,
              some, levels, calms, beyond);
        gather(beyond, 0, levels, at + i, some, off);
        gather(beyond, 1, calms, at + i, some, calm);
    }
}

PyObject *screen(PyObject *self, PyObject *arguments)
{
    (void)self;
    static const char *const types[9] = {"i", "h", "f", "f", "f", "i", "f", "i", "f"};
    static const int bytes[9] = {4, 2, 4, 4, 4, 4, 4, 4, 4}, dimensions[9] = {3, 3, 3, 3, 4, 1, 1, 1, 1};
    PyObject *given[9], *result = NULL;
    Py_buffer views[9];
    double least, share, most;
    int taken = 0;
    if (!PyArg_ParseTuple(arguments, "(OO)(OO)O(ddd)((OO)(OO))", &given[0], &given[1], &given[2], &given[3],
                          &given[4], &least, &share, &most, &given[5], &given[6], &given[7],
                          &given[8]))
        return NULL;
    for (; taken < 9; taken++)
        if (take_array(given[taken], &views[taken], types[taken], bytes[taken], dimensions[taken],
                       taken >= 5)
            < 0)
            goto done;
    const Py_buffer *values = &views[0], *phases = &views[4];
    if (is_band(values) < 0)
        goto done;
    Py_ssize_t rows = values->shape[0], width = values->shape[1], channels = values->shape[2];
    Py_ssize_t n = width * channels, down = blocks_of(rows), across = blocks_of(width);
    int fits = has_shape(&views[1], rows, width, channels) && has_shape(&views[2], down, across, channels)
               && has_shape(&views[3], down, across, channels) && has_shape(phases, 4, BLOCK_PX, BLOCK_PX)
               && phases->shape[3] == channels;
    for (int i = 5; i < 9; i++)
        fits = fits && views[i].shape[0] >= rows * n;
    if (!fits) {
        refuse("fields, spreads, phases and rooms that do not go together");
        goto done;
    }
    float *wide = malloc((size_t)(2 * n) * sizeof *wide), *calm_wide = wide + n;
    if (!wide) {
        PyErr_NoMemory();
        goto done;
    }
    const Rules rules = {(float)least, (float)share, (float)most};
    const Field field = {views[0].buf, 4, views[2].buf}, calm_field = {views[1].buf, 2, views[3].buf};
    Found off = {views[5].buf, views[6].buf, 0}, calm = {views[7].buf, views[8].buf, 0};
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t y = 0; y < rows; y++) {
        if (y % BLOCK_PX == 0) {
            spread_out(&field, y, width, channels, 1.0f, wide);
            spread_out(&calm_field, y, width, channels, 1.0f, calm_wide);
        }
        screen_row((const int32_t *)field.values + y * n, (const int16_t *)calm_field.values + y * n,
                   wide, calm_wide, (const float *)phases->buf + y % BLOCK_PX * BLOCK_PX * channels,
                   rules, y * n, n, BLOCK_PX * channels, &off, &calm);
    }
    free(wide);
    Py_END_ALLOW_THREADS
    result = Py_BuildValue("nn", off.count, calm.count);
done:
    release_all(views, taken);
    return result;
}
