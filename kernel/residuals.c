/* The third accumulator; the numbers of the steps are those of residual.py. */
#include "kernel.h"

enum {
    LANES = 16,      /* loops run over a multiple of it, so that nothing is left for slow tails */
    STRIP_PX = 2048, /* the rows of a strip that are at work stay within the second cache */
    ROW = STRIP_PX + 2 * LANES, /* no power of two, or all rows would meet in the same few lines */
    LIMIT = 128,                /* of a residual, in 1/16 of a local spread */
};

/* What one frame's strip needs of the rows above: a row comes in, a row five above goes out. What
 * stands beyond the columns named is never looked at. */
typedef struct {
    int16_t values[MOST_CHANNELS][5][ROW];   /* rows y - 4 to y, columns -5 to +5 */
    int16_t residual[MOST_CHANNELS][4][ROW]; /* r of rows y - 5 to y - 2, multiplied, -3 to +3 */
    uint16_t restless[7][ROW];               /* a of rows y - 8 to y - 2, columns -3 to +3 */
    uint16_t seven[ROW];                     /* their sum */
} Strip;

/* What follows from the number of channels and bits. */
typedef struct {
    Shape shape;
    float numerator, offset; /* of step 5 */
    int16_t cap;
} Rules;

static inline Py_ssize_t whole_lanes(Py_ssize_t n) { return (n + LANES - 1) & -LANES; }

static Py_ssize_t mirrored(Py_ssize_t at, Py_ssize_t length)
{
    if (length == 1)
        return 0;
    Py_ssize_t period = 2 * (length - 1);
    at = (at < 0 ? -at : at) % period;
    return at < length ? at : period - at;
}

static inline int16_t value_at(const uint8_t *pixel, Py_ssize_t channel, Py_ssize_t value_bytes)
{
    uint16_t deep;
    if (value_bytes == 1)
        return pixel[channel];
    memcpy(&deep, pixel + 2 * channel, 2);
    return (int16_t)(deep >> 4);
}

/* Channels of neighbouring pixels apart; of RGB in four bytes a pixel in a way that vectorises. */
static inline void apart(const uint8_t *restrict from, int16_t *restrict red,
                         int16_t *restrict green, int16_t *restrict blue, Py_ssize_t n, int bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (bytes == 4) {
        for (Py_ssize_t i = 0; i + 1 < n; i++) { /* the last pixel's fourth byte may not be there */
            uint32_t pixel;
            memcpy(&pixel, from + 4 * i, 4);
            red[i] = pixel & 255, green[i] = pixel >> 8 & 255, blue[i] = pixel >> 16 & 255;
        }
        from += 4 * (n - 1), red += n - 1, green += n - 1, blue += n - 1, n = 1;
    }
#endif
    for (Py_ssize_t i = 0; i < n; i++)
        red[i] = from[bytes * i], green[i] = from[bytes * i + 1], blue[i] = from[bytes * i + 2];
}

/* Rows of a strip are too short for the processor to see by itself what comes next. */
static inline void expect(const void *from, Py_ssize_t bytes)
{
    for (Py_ssize_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)from + i);
}

/* Step 1, one row: columns left - 5 to left + width + 5 of each channel. */
static inline void read_row(Strip *strip, const Frame *frame, Shape shape, Py_ssize_t y,
                            Py_ssize_t left, Py_ssize_t width, int slot)
{
    const uint8_t *row = frame->data + mirrored(y, shape.height) * frame->row_bytes;
    Py_ssize_t from = left < 5 ? 5 - left : 0, span = width + 10;
    Py_ssize_t to = left + width + 5 > shape.width ? shape.width - left + 5 : span;
    const uint8_t *first = row + (left - 5 + from) * frame->pixel_bytes;
    int16_t *at[MOST_CHANNELS];
    if (y >= 0 && y + 1 < shape.height)
        expect(first + frame->row_bytes, (to - from) * frame->pixel_bytes);
    for (Py_ssize_t c = 0; c < shape.channels; c++)
        at[c] = strip->values[c][slot];
    int is_rgb = shape.value_bytes == 1 && shape.channels == 3;
    if (is_rgb && frame->pixel_bytes == 4)
        apart(first, at[0] + from, at[1] + from, at[2] + from, to - from, 4);
    else if (is_rgb && frame->pixel_bytes == 3)
        apart(first, at[0] + from, at[1] + from, at[2] + from, to - from, 3);
    else
        for (Py_ssize_t i = from; i < to; i++, first += frame->pixel_bytes)
            for (Py_ssize_t c = 0; c < shape.channels; c++)
                at[c][i] = value_at(first, c, shape.value_bytes);
    for (Py_ssize_t i = from > 0 ? 0 : to; i < span; i = i + 1 == from ? to : i + 1) {
        const uint8_t *pixel = row + mirrored(left - 5 + i, shape.width) * frame->pixel_bytes;
        for (Py_ssize_t c = 0; c < shape.channels; c++)
            at[c][i] = value_at(pixel, c, shape.value_bytes);
    }
}

static inline int16_t lesser(int16_t a, int16_t b) { return a < b ? a : b; }
static inline int16_t greater(int16_t a, int16_t b) { return a > b ? a : b; }

/* Steps 2 to 4, one row: r, times 8 for 8 bits and 2 for 16, and the seven rows' sums of a. */
INLINE void stand_off(Strip *strip, const Rules *rules, Py_ssize_t rows, Py_ssize_t n,
                      const int channels, const int deep)
{
    const int16_t white = deep ? 16000 : 1000, cap = rules->cap;
    const int16_t *up[MOST_CHANNELS], *middle[MOST_CHANNELS], *down[MOST_CHANNELS];
    int16_t *residual[MOST_CHANNELS];
    uint16_t *seven = strip->seven, *restless = strip->restless[rows % 7];
    for (int c = 0; c < channels; c++) {
        up[c] = strip->values[c][(rows + 1) % 5], middle[c] = strip->values[c][(rows + 3) % 5];
        down[c] = strip->values[c][rows % 5], residual[c] = strip->residual[c][rows % 4];
    }
#pragma GCC ivdep
    for (Py_ssize_t i = 0; i < whole_lanes(n); i++) {
        uint16_t shares = 0;
        for (int c = 0; c < channels; c++) {
            int16_t a = up[c][i + 2] + down[c][i + 2], b = middle[c][i] + middle[c][i + 4];
            int16_t d = up[c][i] + down[c][i + 4], e = up[c][i + 4] + down[c][i];
            int16_t low = greater(lesser(a, b), lesser(d, e)); /* the second and the third of four */
            int16_t high = lesser(greater(a, b), greater(d, e));
            int16_t expected = low + high;
            int16_t r = 4 * middle[c][i + 2] - expected;
            int16_t size = greater(r, -r);
            shares += lesser(deep ? size >> 2 : size, cap);
            int is_black_or_white = (uint16_t)(expected - 1) >= white - 1;
            residual[c][i] = is_black_or_white ? 0 : deep ? 2 * r : 8 * r;
        }
        seven[i] += shares - restless[i];
        restless[i] = shares;
    }
}

/* Steps 4 to 6, one row of all channels, added to `total`. */
INLINE void add_weighed(const Strip *strip, const Rules *rules, Py_ssize_t rows, Py_ssize_t n,
                        int16_t (*total)[STRIP_PX], const int channels, const int deep)
{
    const uint16_t *first = strip->restless[(rows + 3) % 7], *seven = strip->seven;
    const uint16_t *second = strip->restless[(rows + 4) % 7];
    const uint16_t *third = strip->restless[(rows + 5) % 7];
    const float numerator = rules->numerator, offset = rules->offset;
    const int16_t *residual[MOST_CHANNELS];
    uint16_t three[ROW];
    for (int c = 0; c < channels; c++)
        residual[c] = strip->residual[c][(rows + 1) % 4] + 3;
    for (Py_ssize_t i = 0; i < whole_lanes(n + 6); i++)
        three[i] = first[i] + second[i] + third[i];
#pragma GCC ivdep
    for (Py_ssize_t i = 0; i < whole_lanes(n); i++) {
        uint16_t around = seven[i] + seven[i + 1] + seven[i + 2] + seven[i + 3] + seven[i + 4]
                          + seven[i + 5] + seven[i + 6] - three[i + 2] - three[i + 3] - three[i + 4];
        /* 24 bits round all quotients rightly: test_residual.py tries them */
        int16_t weight = (int16_t)(
            (int32_t)(numerator / ((float)(int32_t)around + offset) + 0.5f) << (deep ? 2 : 0));
        for (int c = 0; c < channels; c++) {
            int16_t z = (int16_t)(((((int32_t)residual[c][i] * weight) >> 14) + 1) >> 1);
            total[c][i] += greater(lesser(z, LIMIT), -LIMIT);
        }
    }
}

INLINE void sums_of_rows(Strip *strip, const Rules *rules, Py_ssize_t rows, Py_ssize_t width,
                         int16_t (*total)[STRIP_PX], const int channels, const int deep)
{
    stand_off(strip, rules, rows, width + 6, channels, deep);
    if (rows >= 10)
        add_weighed(strip, rules, rows, width, total, channels, deep);
}

INLINE void next_rows_sums(Strip *strip, const Rules *rules, Py_ssize_t rows, Py_ssize_t width,
                           int16_t (*total)[STRIP_PX], const int channels)
{
    if (rules->shape.value_bytes > 1) /* calls of their own are compiled for their own */
        sums_of_rows(strip, rules, rows, width, total, channels, 1);
    else
        sums_of_rows(strip, rules, rows, width, total, channels, 0);
}

/* One more row of one frame's strip; from the eleventh on `total` gets that of five rows above. */
FAST static void next_row(Strip *strip, const Frame *frame, const Rules *rules, Py_ssize_t y,
                          Py_ssize_t rows, Py_ssize_t left, Py_ssize_t width,
                          int16_t (*total)[STRIP_PX])
{
    read_row(strip, frame, rules->shape, y, left, width, (int)(rows % 5));
    if (rows < 4)
        return;
    switch (rules->shape.channels) {
    case 1:
        next_rows_sums(strip, rules, rows, width, total, 1);
        break;
    case 2:
        next_rows_sums(strip, rules, rows, width, total, 2);
        break;
    case 3:
        next_rows_sums(strip, rules, rows, width, total, 3);
        break;
    default:
        next_rows_sums(strip, rules, rows, width, total, 4);
    }
}

/* One row of sums in its place among the other channels. */
static inline void put(const int16_t (*sums)[STRIP_PX], Py_ssize_t channels, Py_ssize_t width,
                       int32_t *restrict wide, int16_t *restrict narrow)
{
    int16_t row[MOST_CHANNELS * STRIP_PX];
    if (channels == 3) /* in a way that vectorises */
        for (Py_ssize_t i = 0; i < whole_lanes(width); i++)
            for (int c = 0; c < 3; c++)
                row[3 * i + c] = sums[c][i];
    else
        for (Py_ssize_t c = 0; c < channels; c++)
            for (Py_ssize_t i = 0; i < width; i++)
                row[i * channels + c] = sums[c][i];
    for (Py_ssize_t i = 0; i < width * channels; i++)
        if (narrow)
            narrow[i] += row[i];
        else
            wide[i] += row[i];
}

/* Where a rectangle's residuals go: int32, or int16 where few photos were added. */
typedef struct {
    uint8_t *data;
    Py_ssize_t row_values, value_bytes;
} Total;

/* Add the residuals of a rectangle to `total`, and its values to `sums` where there are any. */
FAST static void add_rectangle(const Frame *frames, int count, const Rules *rules, Strip *strips,
                          Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right,
                          Total total, Sums *sums)
{
    Py_ssize_t channels = rules->shape.channels;
    for (Py_ssize_t x = left; x < right; x += STRIP_PX) {
        Py_ssize_t width = right - x < STRIP_PX ? right - x : STRIP_PX;
        for (int i = 0; i < count; i++) {
            memset(strips[i].restless, 0, sizeof strips[i].restless);
            memset(strips[i].seven, 0, sizeof strips[i].seven);
        }
        for (Py_ssize_t rows = 0; rows < bottom - top + 10; rows++) {
            int16_t row[MOST_CHANNELS][STRIP_PX] = {{0}};
            Py_ssize_t y = top - 5 + rows;
            for (int i = 0; i < count; i++)
                next_row(&strips[i], &frames[i], rules, y, rows, x, width, row);
            if (sums && y >= top && y < bottom)
                add_to_sums(frames, count, rules->shape, sums, y, x, x + width);
            if (rows < 10)
                continue;
            uint8_t *out = total.data
                           + ((rows - 10) * total.row_values + (x - left) * channels)
                                 * total.value_bytes;
            const int16_t(*all)[STRIP_PX] = (const int16_t(*)[STRIP_PX])row;
            if (total.value_bytes == 2)
                put(all, channels, width, NULL, (int16_t *)(void *)out);
            else
                put(all, channels, width, (int32_t *)(void *)out, NULL);
        }
    }
}

static Rules rules_for(Shape shape)
{
    int channels = (int)shape.channels, shift = shape.value_bytes == 1 ? 0 : 2;
    return (Rules){
        .shape = shape,
        .numerator = (float)((4096 * 640 * channels) >> shift),
        .offset = (float)(160 * channels),
        .cap = (int16_t)(1310 / channels),
    };
}

int add_rows(const Frame *frames, int count, Shape shape, Py_ssize_t top, Py_ssize_t bottom,
             const Py_buffer *total, Sums *sums)
{
    Strip *strips = malloc((size_t)count * sizeof *strips);
    if (!strips)
        return -1;
    Py_ssize_t row = shape.width * shape.channels;
    const Total all = {(uint8_t *)total->buf + top * row * total->itemsize, row, total->itemsize};
    const Rules rules = rules_for(shape);
    add_rectangle(frames, count, &rules, strips, top, bottom, 0, shape.width, all, sums);
    free(strips);
    return 0;
}

PyObject *add_residuals(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given, *total_array, *result = NULL;
    Py_buffer total, views[MOST_FRAMES];
    Frame frames[MOST_FRAMES];
    Shape shape;
    Py_ssize_t top, bottom;
    if (!PyArg_ParseTuple(arguments, "OOnn", &given, &total_array, &top, &bottom))
        return NULL;
    if (PyObject_GetBuffer(total_array, &total, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT)
        < 0)
        return NULL;
    int count = take_frames(given, views, frames, &shape);
    if (count < 0)
        goto without_frames;
    if (sums_fit(&total, shape, total.itemsize == 2 ? 2 : 4) < 0
        || rows_fit(top, bottom, shape) < 0)
        goto done;
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = add_rows(frames, count, shape, top, bottom, &total, NULL);
    Py_END_ALLOW_THREADS
    result = failed ? PyErr_NoMemory() : Py_NewRef(Py_None);
done:
    release_all(views, count);
without_frames:
    PyBuffer_Release(&total);
    return result;
}

PyObject *residual_at(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given, *result = NULL;
    Py_buffer sites, out, view;
    Frame frame;
    Shape shape;
    if (!PyArg_ParseTuple(arguments, "Oy*w*", &given, &sites, &out))
        return NULL;
    int count = take_frames(given, &view, &frame, &shape);
    if (count < 0)
        goto without_frame;
    Py_ssize_t number = sites.len / 16;
    if (count != 1 || sites.len % 16 || out.len != number * shape.channels * 4) {
        refuse("one frame; sites are (n, 2) int64, residuals (n, channels) int32");
        goto done;
    }
    const int64_t *site = sites.buf;
    for (Py_ssize_t i = 0; i < number; i++)
        if (site[2 * i] < 0 || site[2 * i] >= shape.height || site[2 * i + 1] < 0
            || site[2 * i + 1] >= shape.width) {
            refuse("a site outside of the frame");
            goto done;
        }
    Strip *strip = malloc(sizeof *strip);
    if (!strip) {
        PyErr_NoMemory();
        goto done;
    }
    const Rules rules = rules_for(shape);
    Py_BEGIN_ALLOW_THREADS
    int32_t *residuals = out.buf;
    memset(residuals, 0, (size_t)out.len);
    for (Py_ssize_t i = 0; i < number; i++, residuals += shape.channels)
        add_rectangle(&frame, 1, &rules, strip, site[2 * i], site[2 * i] + 1, site[2 * i + 1],
                      site[2 * i + 1] + 1, (Total){(uint8_t *)residuals, shape.channels, 4},
                      NULL);
    free(strip);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&view);
without_frame:
    PyBuffer_Release(&sites);
    PyBuffer_Release(&out);
    return result;
}
