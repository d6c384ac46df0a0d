/* The arithmetic of moments.py, residual.py and jpeg/walk.py once more, to the same bits, faster.
 *
 * Optional: without it numpy does the same. Every function checks the shape, the type and the
 * length of all that it is given before it touches a value, allocates before it changes one, and
 * lets other threads run meanwhile. Plain C against the stable ABI; no numpy here, only buffers.
 *
 * A frame is a buffer (height, width, channels) of uint8 or uint16 whose pixels may be followed by
 * some padding (Pillow keeps RGB as four bytes a pixel) and whose rows may be, too.
 */
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_FRAMES = 64,     /* in one call; 64 x 255 and 64 x 128 stay within 16 bits */
    MOST_CHANNELS = 4,
    CHUNK_PX = 1024,      /* a chunk of four frames stays within the first cache */
    STRIP_PX = 2048,      /* the rows of a strip that are at work stay within the second */
    LIMIT = 128,          /* of a residual, in 1/16 of a local spread */
};

/* A second version of the hot loops for newer processors, where compiler and linker can. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) \
    && !defined(__SANITIZE_ADDRESS__)
#define FAST __attribute__((target_clones("avx2", "default")))
#else
#define FAST
#endif

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_SHUFFLE
#include <tmmintrin.h>
#endif

/* ---- what the caller gave */

typedef struct {
    Py_ssize_t height, width, channels;
    Py_ssize_t value_bytes;
} Shape;

typedef struct {
    const uint8_t *data;
    Py_ssize_t row_bytes, pixel_bytes;
} Frame;

static int refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return -1;
}

static int is_unsigned(const Py_buffer *view)
{
    return view->format && strlen(view->format) == 1 && strchr("BHILQ", view->format[0]);
}

static int is_aligned(const Py_buffer *view)
{
    return (uintptr_t)view->buf % (size_t)view->itemsize == 0;
}

/* Check a contiguous array of sums and return 0. */
static int sums_fit(const Py_buffer *view, Shape shape, Py_ssize_t value_bytes)
{
    if (view->ndim != 3 || !is_aligned(view) || view->itemsize != value_bytes || view->shape[0] != shape.height
        || view->shape[1] != shape.width || view->shape[2] != shape.channels)
        return refuse("sums of another shape or type");
    return 0;
}

static void release_all(Py_buffer *views, int count)
{
    while (count-- > 0)
        PyBuffer_Release(&views[count]);
}

/* Take hold of all frames; return how many, or -1 with an exception and none held. */
static int take_frames(PyObject *given, Py_buffer *views, Frame *frames, Shape *shape)
{
    Py_ssize_t count = PySequence_Size(given);
    int taken = 0;
    if (count < 0)
        return -1;
    if (count < 1 || count > MOST_FRAMES)
        return refuse("between 1 and 64 frames at a time");
    for (; taken < count; taken++) {
        Py_buffer *view = &views[taken];
        PyObject *frame = PySequence_GetItem(given, taken);
        int held = frame ? PyObject_GetBuffer(frame, view, PyBUF_STRIDED_RO | PyBUF_FORMAT) : -1;
        Py_XDECREF(frame);
        if (held < 0)
            break;
        if (view->ndim != 3 || !is_unsigned(view) || view->itemsize > 2 || view->shape[0] < 1
            || view->shape[1] < 1 || view->shape[2] < 1 || view->shape[2] > MOST_CHANNELS) {
            PyBuffer_Release(view);
            refuse("a frame is (height, width, 1 to 4) uint8 or uint16");
            break;
        }
        Shape own = {view->shape[0], view->shape[1], view->shape[2], view->itemsize};
        if (taken == 0)
            *shape = own;
        Py_ssize_t pixel = view->strides[1], row = view->strides[0];
        if (!is_aligned(view) || pixel % own.value_bytes || row % own.value_bytes
            || memcmp(&own, shape, sizeof own) || view->strides[2] != own.value_bytes
            || pixel < own.channels * own.value_bytes || pixel > 16 * own.value_bytes
            || row < own.width * pixel - (pixel - own.channels * own.value_bytes)) {
            PyBuffer_Release(view);
            refuse("frames of different shape, or laid out in another way");
            break;
        }
        frames[taken] = (Frame){view->buf, row, pixel};
    }
    if (taken == count)
        return taken;
    release_all(views, taken);
    return -1;
}

/* ---- sums and sums of squares */

/* RGB without the fourth byte of each pixel. Returns how many pixels are done; the rest is for the
 * caller: what is written and read too much must still be within the rooms. */
#ifdef HAS_SHUFFLE
__attribute__((target("ssse3"))) static Py_ssize_t
without_fourth(const uint8_t *restrict from, uint8_t *restrict to, Py_ssize_t pixels)
{
    const __m128i kept = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    Py_ssize_t i = 0;
    for (; i + 5 <= pixels; i += 4) {
        __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(from + 4 * i));
        _mm_storeu_si128((__m128i *)(void *)(to + 3 * i), _mm_shuffle_epi8(four, kept));
    }
    return i;
}
#endif

/* The values of some pixels without what stands between them: in place, or gathered in `room`. */
static const void *packed(const Frame *frame, Shape shape, Py_ssize_t y, Py_ssize_t x,
                          Py_ssize_t pixels, uint8_t *room)
{
    const uint8_t *from = frame->data + y * frame->row_bytes + x * frame->pixel_bytes;
    Py_ssize_t bytes = shape.channels * shape.value_bytes, i = 0;
    if (frame->pixel_bytes == bytes)
        return from;
#ifdef HAS_SHUFFLE
    if (bytes == 3 && frame->pixel_bytes == 4 && __builtin_cpu_supports("ssse3"))
        i = without_fourth(from, room, pixels);
#endif
    if (bytes == 3)
        for (; i < pixels; i++)
            for (int c = 0; c < 3; c++)
                room[3 * i + c] = from[i * frame->pixel_bytes + c];
    for (; i < pixels; i++)
        memcpy(room + i * bytes, from + i * frame->pixel_bytes, (size_t)bytes);
    return room;
}

FAST static void add_four_8(const uint8_t *restrict a, const uint8_t *restrict b,
                            const uint8_t *restrict c, const uint8_t *restrict d,
                            uint32_t *restrict sum, uint32_t *restrict squares, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        uint16_t p = a[i], q = b[i], r = c[i], s = d[i];
        sum[i] += (uint16_t)(p + q + r + s);
        squares[i] += (uint32_t)(uint16_t)(p * p) + (uint16_t)(q * q) + (uint16_t)(r * r)
                      + (uint16_t)(s * s);
    }
}

FAST static void add_four_16(const uint16_t *restrict a, const uint16_t *restrict b,
                             const uint16_t *restrict c, const uint16_t *restrict d,
                             uint32_t *restrict sum, uint64_t *restrict squares, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t p = a[i], q = b[i], r = c[i], s = d[i];
        sum[i] += p + q + r + s;
        squares[i] += (uint64_t)(p * p) + (uint64_t)(q * q) + (uint64_t)(r * r) + (uint64_t)(s * s);
    }
}

/* Four frames at a time, since reading and writing the sums costs more than adding to them. */
static void fold_rows(const Frame *frames, int count, Shape shape, uint32_t *sum, uint8_t *squares,
                      Py_ssize_t top, Py_ssize_t bottom, uint8_t (*room)[CHUNK_PX * 8 + 8])
{
    memset(room[4], 0, sizeof room[4]);
    for (Py_ssize_t y = top; y < bottom; y++)
        for (Py_ssize_t x = 0; x < shape.width; x += CHUNK_PX) {
            Py_ssize_t pixels = shape.width - x < CHUNK_PX ? shape.width - x : CHUNK_PX;
            Py_ssize_t at = (y * shape.width + x) * shape.channels;
            for (int first = 0; first < count; first += 4) {
                const void *four[4];
                for (int i = 0; i < 4; i++) /* a black frame changes no sum */
                    four[i] = first + i < count
                                  ? packed(&frames[first + i], shape, y, x, pixels, room[i])
                                  : room[4];
                if (shape.value_bytes == 1)
                    add_four_8(four[0], four[1], four[2], four[3], sum + at,
                               (uint32_t *)(void *)squares + at, pixels * shape.channels);
                else
                    add_four_16(four[0], four[1], four[2], four[3], sum + at,
                                (uint64_t *)(void *)squares + at, pixels * shape.channels);
            }
        }
}

static PyObject *fold(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given, *result = NULL;
    Py_buffer sum, squares, views[MOST_FRAMES];
    Frame frames[MOST_FRAMES];
    Shape shape;
    Py_ssize_t top, bottom;
    PyObject *sum_array, *squares_array;
    if (!PyArg_ParseTuple(arguments, "OOOnn", &given, &sum_array, &squares_array, &top, &bottom))
        return NULL;
    const int writable = PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT;
    if (PyObject_GetBuffer(sum_array, &sum, writable) < 0)
        return NULL;
    if (PyObject_GetBuffer(squares_array, &squares, writable) < 0)
        goto without_squares;
    int count = take_frames(given, views, frames, &shape);
    if (count < 0)
        goto without_frames;
    if (sums_fit(&sum, shape, 4) < 0 || sums_fit(&squares, shape, shape.value_bytes == 1 ? 4 : 8) < 0)
        goto done;
    if (!is_unsigned(&sum) || !is_unsigned(&squares) || top < 0 || top > bottom
        || bottom > shape.height) {
        refuse("sums that are not unsigned, or rows outside of the frame");
        goto done;
    }
    uint8_t(*room)[CHUNK_PX * 8 + 8] = malloc(5 * sizeof *room);
    if (!room) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    fold_rows(frames, count, shape, sum.buf, squares.buf, top, bottom, room);
    free(room);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    release_all(views, count);
without_frames:
    PyBuffer_Release(&squares);
without_squares:
    PyBuffer_Release(&sum);
    return result;
}

/* ---- residuals; the numbers of the steps are those of residual.py */

/* What one frame's strip needs of the rows above: a row comes in, a row five above goes out. */
typedef struct {
    int16_t values[MOST_CHANNELS][5][STRIP_PX + 10]; /* rows y - 4 to y, columns -5 to +5 */
    int16_t residual[MOST_CHANNELS][4][STRIP_PX];    /* r of rows y - 5 to y - 2, multiplied */
    uint16_t restless[7][STRIP_PX + 6];              /* a of rows y - 8 to y - 2, columns -3 to +3 */
    uint16_t seven[STRIP_PX + 6];                    /* their sum */
} Strip;

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

/* Step 1, one row: columns left - 5 to left + width + 5 of each channel. */
static inline void read_row(Strip *strip, const Frame *frame, Shape shape, Py_ssize_t y,
                            Py_ssize_t left, Py_ssize_t width, int slot)
{
    const uint8_t *row = frame->data + mirrored(y, shape.height) * frame->row_bytes;
    Py_ssize_t from = left < 5 ? 5 - left : 0, span = width + 10;
    Py_ssize_t to = left + width + 5 > shape.width ? shape.width - left + 5 : span;
    const uint8_t *first = row + (left - 5 + from) * frame->pixel_bytes;
    int16_t *at[MOST_CHANNELS];
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

/* Steps 2 to 4, one row of one channel: r, times 8 for 8 bits and 2 for 16, and a added to
 * `restless`. */
static inline void stand_off(const int16_t *restrict up, const int16_t *restrict middle,
                             const int16_t *restrict down, int16_t *restrict residual,
                             uint16_t *restrict restless, Py_ssize_t n, int16_t white, int16_t cap,
                             int deep)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        int16_t a = up[i + 2] + down[i + 2], b = middle[i] + middle[i + 4];
        int16_t c = up[i] + down[i + 4], d = up[i + 4] + down[i];
        int16_t low = greater(lesser(a, b), lesser(c, d)); /* the second and the third of four */
        int16_t high = lesser(greater(a, b), greater(c, d));
        int16_t expected = low + high;
        int16_t r = 4 * middle[i + 2] - expected;
        int16_t size = greater(r, -r);
        restless[i] += lesser(deep ? size >> 2 : size, cap);
        residual[i] = expected >= white || expected == 0 ? 0 : deep ? 2 * r : 8 * r;
    }
}

/* Steps 4 to 6, one row: the residuals of each channel added to `total`. */
static inline void weigh(const Strip *strip, const int16_t *const *residual, int newest,
                         const uint16_t *restrict reciprocals, int shift, Py_ssize_t channels,
                         Py_ssize_t width, int16_t (*restrict total)[STRIP_PX])
{
    const uint16_t *restrict a = strip->restless[(newest + 3) % 7];
    const uint16_t *restrict b = strip->restless[(newest + 4) % 7];
    const uint16_t *restrict c = strip->restless[(newest + 5) % 7];
    const uint16_t *restrict seven = strip->seven;
    uint16_t three[STRIP_PX + 6], around[STRIP_PX];
    int16_t weight[STRIP_PX];
    for (Py_ssize_t i = 0; i < width + 6; i++)
        three[i] = a[i] + b[i] + c[i];
    for (Py_ssize_t i = 0; i < width; i++)
        around[i] = seven[i] + seven[i + 1] + seven[i + 2] + seven[i + 3] + seven[i + 4]
                    + seven[i + 5] + seven[i + 6] - three[i + 2] - three[i + 3] - three[i + 4];
    for (Py_ssize_t i = 0; i < width; i++)
        weight[i] = (int16_t)(reciprocals[around[i]] << shift);
    for (Py_ssize_t channel = 0; channel < channels; channel++) {
        const int16_t *restrict r = residual[channel];
        int16_t *restrict sum = total[channel];
        for (Py_ssize_t i = 0; i < width; i++) {
            int16_t z = (int16_t)(((((int32_t)r[i] * weight[i]) >> 14) + 1) >> 1); /* of 8 r I */
            sum[i] += greater(lesser(z, LIMIT), -LIMIT);
        }
    }
}

typedef struct {
    Shape shape;
    const uint16_t *reciprocals;
    int16_t cap;
} Rules;

/* One more row of one frame's strip; from the eleventh on `total` gets that of five rows above. */
FAST static void next_row(Strip *strip, const Frame *frame, const Rules *rules, Py_ssize_t y,
                          Py_ssize_t rows, Py_ssize_t left, Py_ssize_t width,
                          int16_t (*total)[STRIP_PX])
{
    int slot = (int)(rows % 5), newest = (int)(rows % 7);
    Py_ssize_t channels = rules->shape.channels, span = width + 6;
    read_row(strip, frame, rules->shape, y, left, width, slot);
    if (rows < 4)
        return;
    int16_t own[STRIP_PX + 6]; /* on the stack, where the compiler sees that nothing else is */
    uint16_t restless[STRIP_PX + 6];
    const int16_t *residual[MOST_CHANNELS];
    memset(restless, 0, (size_t)span * sizeof *restless);
    for (Py_ssize_t c = 0; c < channels; c++) {
        int16_t(*values)[STRIP_PX + 10] = strip->values[c];
        if (rules->shape.value_bytes == 1) /* two calls, so that each is compiled for its own */
            stand_off(values[(slot + 1) % 5], values[(slot + 3) % 5], values[slot], own, restless,
                      span, 1000, rules->cap, 0);
        else
            stand_off(values[(slot + 1) % 5], values[(slot + 3) % 5], values[slot], own, restless,
                      span, 16000, rules->cap, 1);
        memcpy(strip->residual[c][rows % 4], own + 3, (size_t)width * sizeof *own);
        residual[c] = strip->residual[c][(rows + 1) % 4];
    }
    uint16_t *restrict seven = strip->seven, *restrict oldest = strip->restless[newest];
    for (Py_ssize_t i = 0; i < span; i++)
        seven[i] += restless[i] - oldest[i], oldest[i] = restless[i];
    if (rows >= 10)
        weigh(strip, residual, newest, rules->reciprocals, rules->shape.value_bytes == 1 ? 0 : 2,
              channels, width, total);
}

/* Add the residuals of a rectangle to `total`, whose rows are `total_row` values apart. */
static void add_rectangle(const Frame *frames, int count, const Rules *rules, Strip *strips,
                          Py_ssize_t top, Py_ssize_t bottom, Py_ssize_t left, Py_ssize_t right,
                          int32_t *total, Py_ssize_t total_row)
{
    Py_ssize_t channels = rules->shape.channels;
    for (Py_ssize_t x = left; x < right; x += STRIP_PX) {
        Py_ssize_t width = right - x < STRIP_PX ? right - x : STRIP_PX;
        for (int i = 0; i < count; i++) {
            memset(strips[i].restless, 0, sizeof strips[i].restless);
            memset(strips[i].seven, 0, sizeof strips[i].seven);
        }
        for (Py_ssize_t rows = 0; rows < bottom - top + 10; rows++) {
            int16_t sums[MOST_CHANNELS][STRIP_PX] = {{0}};
            for (int i = 0; i < count; i++)
                next_row(&strips[i], &frames[i], rules, top - 5 + rows, rows, x, width, sums);
            if (rows < 10)
                continue;
            int32_t *out = total + (rows - 10) * total_row + (x - left) * channels;
            if (channels == 3) /* one pass over what is far away */
                for (Py_ssize_t i = 0; i < width; i++)
                    out[3 * i] += sums[0][i], out[3 * i + 1] += sums[1][i],
                        out[3 * i + 2] += sums[2][i];
            else
                for (Py_ssize_t c = 0; c < channels; c++)
                    for (Py_ssize_t i = 0; i < width; i++)
                        out[i * channels + c] += sums[c][i];
        }
    }
}

/* Check the table of step 5 and set down what else the steps need; return 0. */
static int make_rules(Rules *rules, Shape shape, const Py_buffer *table)
{
    if (table->len != 65536 * 2 || table->itemsize != 2)
        return refuse("the table of reciprocals has 65536 uint16");
    *rules = (Rules){shape, table->buf, (int16_t)(1310 / shape.channels)};
    return 0;
}

static PyObject *add_residuals(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given, *total_array, *result = NULL;
    Py_buffer total, table, views[MOST_FRAMES];
    Frame frames[MOST_FRAMES];
    Shape shape;
    Rules rules;
    Py_ssize_t top, bottom;
    if (!PyArg_ParseTuple(arguments, "OOnny*", &given, &total_array, &top, &bottom, &table))
        return NULL;
    if (PyObject_GetBuffer(total_array, &total, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT)
        < 0)
        goto without_total;
    int count = take_frames(given, views, frames, &shape);
    if (count < 0)
        goto without_frames;
    if (sums_fit(&total, shape, 4) < 0 || make_rules(&rules, shape, &table) < 0)
        goto done;
    if (top < 0 || top > bottom || bottom > shape.height) {
        refuse("rows outside of the frame");
        goto done;
    }
    Strip *strips = malloc((size_t)count * sizeof *strips);
    if (!strips) {
        PyErr_NoMemory();
        goto done;
    }
    Py_ssize_t row = shape.width * shape.channels;
    Py_BEGIN_ALLOW_THREADS
    add_rectangle(frames, count, &rules, strips, top, bottom, 0, shape.width,
                  (int32_t *)total.buf + top * row, row);
    free(strips);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    release_all(views, count);
without_frames:
    PyBuffer_Release(&total);
without_total:
    PyBuffer_Release(&table);
    return result;
}

/* ---- residuals at some sites */

static PyObject *residual_at(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given, *result = NULL;
    Py_buffer sites, table, out, view;
    Frame frame;
    Shape shape;
    Rules rules;
    if (!PyArg_ParseTuple(arguments, "Oy*w*y*", &given, &sites, &out, &table))
        return NULL;
    int count = take_frames(given, &view, &frame, &shape);
    if (count < 0)
        goto without_frame;
    Py_ssize_t number = sites.len / 16;
    if (make_rules(&rules, shape, &table) < 0)
        goto done;
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
    Py_BEGIN_ALLOW_THREADS
    int32_t *residuals = out.buf;
    memset(residuals, 0, (size_t)out.len);
    for (Py_ssize_t i = 0; i < number; i++, residuals += shape.channels)
        add_rectangle(&frame, 1, &rules, strip, site[2 * i], site[2 * i] + 1, site[2 * i + 1],
                      site[2 * i + 1] + 1, residuals, shape.channels);
    free(strip);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&view);
without_frame:
    PyBuffer_Release(&sites);
    PyBuffer_Release(&out);
    PyBuffer_Release(&table);
    return result;
}

/* ---- the scan of a JPEG */

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

static PyObject *walk(PyObject *self, PyObject *arguments)
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

/* ---- the module */

static PyMethodDef methods[] = {
    {"fold", fold, METH_VARARGS,
     "fold(frames, sum_dn, sum_squares_dn2, top, bottom): add the rows top to bottom of frames."},
    {"add_residuals", add_residuals, METH_VARARGS,
     "add_residuals(frames, total, top, bottom, reciprocals): the third accumulator."},
    {"residual_at", residual_at, METH_VARARGS,
     "residual_at((frame,), sites, out, reciprocals): residuals of one frame at some sites."},
    {"walk", walk, METH_VARARGS,
     "walk(stream, tables, dc, ac, starts) -> how many block starts were found and written."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernel", "Compiled arithmetic; see hotpixeld.core.kernel.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    return PyModuleDef_Init(&module);
}
