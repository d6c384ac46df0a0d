/* Sums and sums of squares, as moments.py has them. */
#include "kernel.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_SHUFFLE
#include <tmmintrin.h>
#endif

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
static const uint8_t *packed(const Frame *frame, Shape shape, Py_ssize_t y, Py_ssize_t x,
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

/* Each of these is compiled once for two frames, where there are no more, and once for four. */
static inline void add_frames(const uint8_t *const *four, int frames, uint32_t *restrict wide,
                              uint16_t *restrict narrow, uint32_t *restrict squares, Py_ssize_t n)
{
    const uint8_t *restrict a = four[0], *restrict b = four[1];
    const uint8_t *restrict c = four[2], *restrict d = four[3];
    for (Py_ssize_t i = 0; i < n; i++) {
        uint16_t p = a[i], q = b[i], r = frames > 2 ? c[i] : 0, s = frames > 2 ? d[i] : 0;
        uint16_t sum = p + q + r + s;
        if (narrow)
            narrow[i] += sum;
        else
            wide[i] += sum;
        squares[i] += (uint32_t)(uint16_t)(p * p) + (uint16_t)(q * q) + (uint16_t)(r * r)
                      + (uint16_t)(s * s);
    }
}

FAST static void add_8(const uint8_t *const *four, int frames, uint32_t *sum, uint32_t *squares,
                       Py_ssize_t n)
{
    if (frames > 2)
        add_frames(four, 4, sum, NULL, squares, n);
    else
        add_frames(four, 2, sum, NULL, squares, n);
}

/* Of few photos: their sums are held in 16 bits. */
FAST static void add_8_of_few(const uint8_t *const *four, int frames, uint16_t *sum,
                              uint32_t *squares, Py_ssize_t n)
{
    if (frames > 2)
        add_frames(four, 4, NULL, sum, squares, n);
    else
        add_frames(four, 2, NULL, sum, squares, n);
}

FAST static void add_16(const uint8_t *const *four, uint32_t *restrict sum,
                        uint64_t *restrict squares, Py_ssize_t n)
{
    const uint16_t *restrict a = (const void *)four[0], *restrict b = (const void *)four[1];
    const uint16_t *restrict c = (const void *)four[2], *restrict d = (const void *)four[3];
    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t p = a[i], q = b[i], r = c[i], s = d[i];
        sum[i] += p + q + r + s;
        squares[i] += (uint64_t)(p * p) + (uint64_t)(q * q) + (uint64_t)(r * r) + (uint64_t)(s * s);
    }
}

/* Four frames at a time, since reading and writing the sums costs more than adding to them. */
void add_to_sums(const Frame *frames, int count, Shape shape, Sums *sums, Py_ssize_t y,
                 Py_ssize_t left, Py_ssize_t right)
{
    Py_ssize_t sum_bytes = sums->is_wide ? 4 : 2, squares_bytes = shape.value_bytes == 2 ? 8 : 4;
    for (Py_ssize_t x = left; x < right; x += CHUNK_PX) {
        Py_ssize_t pixels = right - x < CHUNK_PX ? right - x : CHUNK_PX;
        Py_ssize_t at = (y * shape.width + x) * shape.channels, n = pixels * shape.channels;
        void *sum = sums->sum + at * sum_bytes, *squares = sums->squares + at * squares_bytes;
        for (int first = 0; first < count; first += 4) {
            const uint8_t *four[4];
            for (int i = 0; i < 4; i++) /* a black frame changes no sum */
                four[i] = first + i < count
                              ? packed(&frames[first + i], shape, y, x, pixels, sums->room[i])
                              : sums->room[4];
            if (shape.value_bytes == 2)
                add_16(four, sum, squares, n);
            else if (sums->is_wide)
                add_8(four, count - first, sum, squares, n);
            else
                add_8_of_few(four, count - first, sum, squares, n);
        }
    }
}

/* ---- sums over the channels, as similarity.py has them */

FAST static void add_greys(const Frame *frame, Shape shape, Py_ssize_t y, uint32_t *restrict out)
{
    const uint8_t *restrict row = frame->data + y * frame->row_bytes;
    Py_ssize_t i = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (shape.channels == 3 && frame->pixel_bytes == 4)
        for (; i + 1 < shape.width; i++) { /* the last pixel's fourth byte may not be there */
            uint32_t pixel;
            memcpy(&pixel, row + 4 * i, 4);
            out[i] += (pixel & 255) + (pixel >> 8 & 255) + (pixel >> 16 & 255);
        }
#endif
    for (; i < shape.width; i++)
        for (Py_ssize_t c = 0; c < shape.channels; c++) {
            const uint8_t *value = row + i * frame->pixel_bytes + c * shape.value_bytes;
            uint16_t deep = *value;
            if (shape.value_bytes == 2)
                memcpy(&deep, value, 2);
            out[i] += deep;
        }
}

PyObject *grey_sums(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given, *out_array, *result = NULL;
    Py_buffer view, out;
    Frame frame;
    Shape shape;
    Py_ssize_t top, bottom, step;
    if (!PyArg_ParseTuple(arguments, "OOnnn", &given, &out_array, &top, &bottom, &step))
        return NULL;
    if (take_array(out_array, &out, "IL", 4, 1, 1) < 0)
        return NULL;
    PyObject *one = PyTuple_Pack(1, given);
    int count = one ? take_frames(one, &view, &frame, &shape) : -1;
    Py_XDECREF(one);
    if (count < 0)
        goto without_frame;
    if (out.shape[0] != shape.width || top < 0 || top > bottom || bottom > shape.height
        || step < 1) {
        refuse("a sum for each column, and rows within the frame");
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t y = top; y < bottom; y = step < bottom - y ? y + step : bottom)
        add_greys(&frame, shape, y, out.buf);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&view);
without_frame:
    PyBuffer_Release(&out);
    return result;
}
