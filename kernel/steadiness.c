/* How much less a subpixel varies than its neighbours, as fields.py has it. */
#include "kernel.h"

enum {
    BESIDE_PX = 3,
    CHUNK = 1024,     /* values at a time stay within the first cache */
    CELLS = 14 * 256, /* of the table of logarithms: exponents 0 to 13, 8 bits of the mantissa */
    ONE_CELL = 127 << 8, /* of 1.0 */
};

typedef struct {
    Py_ssize_t width, channels;
    uint64_t count;
    float unit;
    const int32_t *table;
} Calm;

typedef struct {
    uint64_t least, greatest, high, low; /* the total is high * 2^32 + low */
} Spreads;

/* The logarithms of 1 + unit * spread, in 1/256, rounded down; see fields.py. */
static inline void logarithms(const float *restrict relative, int16_t *restrict out,
                              const int32_t *restrict table, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &relative[i], 4);
        int32_t cell = (bits >> 15) - ONE_CELL;
        cell = cell < 0 ? 0 : cell < CELLS ? cell : CELLS - 1;
        out[i] = (int16_t)((table[cell] + (bits & 0x7fff)) >> 15);
    }
}

/* Put the least, and the greatest, of either half of `left` values in the first half. */
static inline void halve(double *restrict least, double *restrict greatest, Py_ssize_t left)
{
    Py_ssize_t half = left / 2, other = left - half;
    for (Py_ssize_t i = 0; i < half; i++)
        least[i] = least[i] < least[i + other] ? least[i] : least[i + other];
    for (Py_ssize_t i = 0; i < half; i++)
        greatest[i] = greatest[i] > greatest[i + other] ? greatest[i] : greatest[i + other];
}

/* At most CHUNK values of 32 bits. All products are whole numbers below 2^53, and so exact. */
FAST static void logs_of_narrow(const Calm *calm, const uint32_t *restrict sum,
                                const uint32_t *restrict squares, int16_t *restrict out,
                                Py_ssize_t n, Spreads *found)
{
    double count = (double)calm->count, spread[CHUNK], least[CHUNK], greatest[CHUNK];
    float relative[CHUNK], unit = calm->unit;
    uint64_t s1 = 0, s2 = 0;
    for (Py_ssize_t i = 0; i < n; i++)
        spread[i] = count * (double)squares[i] - (double)sum[i] * (double)sum[i];
    for (Py_ssize_t i = 0; i < n; i++)
        relative[i] = (float)spread[i] * unit + 1.0f;
    logarithms(relative, out, calm->table, n);
    if (!found)
        return;
    memcpy(least, spread, (size_t)n * sizeof *spread);
    memcpy(greatest, spread, (size_t)n * sizeof *spread);
    for (Py_ssize_t left = n; left > 1; left = (left + 1) / 2)
        halve(least, greatest, left);
    uint64_t low = least[0] > 0 ? (uint64_t)least[0] : 0;
    uint64_t high = greatest[0] > 0 ? (uint64_t)greatest[0] : 0;
    found->least = low < found->least ? low : found->least;
    found->greatest = high > found->greatest ? high : found->greatest;
    for (Py_ssize_t i = 0; i < n; i++) {
        s1 += (uint64_t)sum[i] * sum[i];
        s2 += squares[i];
    }
    uint64_t total = calm->count * s2 - s1; /* that of CHUNK spreads fits, so it may wrap before */
    found->high += total >> 32;
    found->low += total & UINT32_MAX;
}

static void logs_of_wide(const Calm *calm, const uint64_t *restrict sum,
                         const uint64_t *restrict squares, int16_t *restrict out, Py_ssize_t n,
                         Spreads *found)
{
    float relative[CHUNK];
    for (Py_ssize_t i = 0; i < n; i++) {
        uint64_t spread = calm->count * squares[i] - sum[i] * sum[i];
        relative[i] = (float)spread * calm->unit + 1.0f;
        if (found) {
            found->least = spread < found->least ? spread : found->least;
            found->greatest = spread > found->greatest ? spread : found->greatest;
            found->high += spread >> 32;
            found->low += spread & UINT32_MAX;
        }
    }
    logarithms(relative, out, calm->table, n);
}

/* Where a row or column of `length` is found that may be up to BESIDE_PX outside. */
static Py_ssize_t inside(Py_ssize_t at, Py_ssize_t length, int mirror)
{
    if (at < 0)
        return mirror ? -at : 0;
    if (at >= length)
        return mirror ? 2 * (length - 1) - at : length - 1;
    return at;
}

/* One row's logarithms with BESIDE_PX more on either side. */
static void log_row(const Calm *calm, const void *sum, const void *squares, int is_narrow, int mirror,
                    int16_t *row, Spreads *found)
{
    Py_ssize_t channels = calm->channels, width = calm->width, n = width * channels;
    int16_t *first = row + BESIDE_PX * channels;
    for (Py_ssize_t i = 0; i < n; i += CHUNK) {
        Py_ssize_t some = n - i < CHUNK ? n - i : CHUNK;
        if (is_narrow)
            logs_of_narrow(calm, (const uint32_t *)sum + i, (const uint32_t *)squares + i, first + i,
                           some, found);
        else
            logs_of_wide(calm, (const uint64_t *)sum + i, (const uint64_t *)squares + i, first + i,
                         some, found);
    }
    for (Py_ssize_t x = -BESIDE_PX; x < width + BESIDE_PX; x = x == -1 ? width : x + 1)
        memcpy(first + x * channels, first + inside(x, width, mirror) * channels,
               (size_t)channels * sizeof *row);
}

static inline int16_t lesser(int16_t a, int16_t b) { return a < b ? a : b; }
static inline int16_t greater(int16_t a, int16_t b) { return a > b ? a : b; }

/* The mean of the middle two of four pairs of opposite neighbours, less the value itself. */
FAST static void beside_row(const int16_t *restrict up, const int16_t *restrict middle,
                            const int16_t *restrict down, int16_t *restrict out, Py_ssize_t n,
                            Py_ssize_t far)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        int16_t a = up[i + far] + down[i + far], b = middle[i] + middle[i + 2 * far];
        int16_t c = up[i] + down[i + 2 * far], d = up[i + 2 * far] + down[i];
        int16_t low = greater(lesser(a, b), lesser(c, d));
        int16_t high = lesser(greater(a, b), greater(c, d));
        out[i] = (int16_t)(((int16_t)(low + high) >> 2) - middle[i + far]);
    }
}

/* `ring` holds seven rows of logarithms, each with what is beyond its ends. */
static void calm_rows(const Calm *calm, const uint8_t *sum, const uint8_t *squares,
                      Py_ssize_t value_bytes, Py_ssize_t given, Py_ssize_t first, Py_ssize_t rows,
                      int16_t *ring, int16_t *out, uint64_t *least, Spreads *all)
{
    Py_ssize_t channels = calm->channels, values = calm->width * channels;
    Py_ssize_t wide = values + 2 * BESIDE_PX * channels;
    int mirror = given > BESIDE_PX && calm->width > BESIDE_PX;
    Py_ssize_t next = first > BESIDE_PX ? first - BESIDE_PX : 0;
    *all = (Spreads){UINT64_MAX, 0, 0, 0};
    for (Py_ssize_t y = first; y < first + rows; y++) {
        for (; next < given && next <= y + BESIDE_PX; next++) {
            int own = next >= first && next < first + rows;
            Py_ssize_t from = next * values * value_bytes;
            all->least = UINT64_MAX;
            log_row(calm, sum + from, squares + from, value_bytes == 4, mirror,
                    ring + next % 7 * wide, own ? all : NULL);
            if (own)
                least[next - first] = all->least;
        }
        beside_row(ring + inside(y - BESIDE_PX, given, mirror) % 7 * wide, ring + y % 7 * wide,
                   ring + inside(y + BESIDE_PX, given, mirror) % 7 * wide, out, values,
                   BESIDE_PX * channels);
        out += values;
    }
}

PyObject *steadiness(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given[5], *result = NULL;
    Py_buffer sum, squares, table, out, least;
    Py_ssize_t first;
    unsigned long long count;
    double unit;
    if (!PyArg_ParseTuple(arguments, "(OO)(Kd)On(OO)", &given[0], &given[1], &count, &unit, &given[2],
                          &first, &given[3], &given[4]))
        return NULL;
    if (take_array(given[0], &sum, "I", 4, 3, 0) < 0) {
        PyErr_Clear();
        if (take_array(given[0], &sum, "LQ", 8, 3, 0) < 0)
            return NULL;
    }
    if (take_array(given[1], &squares, sum.itemsize == 4 ? "I" : "LQ", sum.itemsize, 3, 0) < 0)
        goto without_squares;
    if (take_array(given[2], &table, "i", 4, 1, 0) < 0)
        goto without_table;
    if (take_array(given[3], &out, "h", 2, 3, 1) < 0)
        goto without_out;
    if (take_array(given[4], &least, "LQ", 8, 1, 1) < 0)
        goto without_least;
    if (is_band(&sum) < 0)
        goto done;
    Py_ssize_t rows = out.shape[0], width = sum.shape[1], channels = sum.shape[2];
    if (!has_shape(&squares, sum.shape[0], width, channels) || !has_shape(&out, rows, width, channels)
        || table.shape[0] != CELLS || least.shape[0] != rows || first < 0
        || first > sum.shape[0] - rows || count < 1 || count >= 1 << 21) {
        refuse("sums, squares, logarithms, steadiness or rows that do not go together");
        goto done;
    }
    int16_t *ring = malloc((size_t)(7 * (width + 2 * BESIDE_PX) * channels) * sizeof *ring);
    if (!ring) {
        PyErr_NoMemory();
        goto done;
    }
    Calm calm = {width, channels, count, (float)unit, table.buf};
    Spreads all;
    Py_BEGIN_ALLOW_THREADS
    calm_rows(&calm, sum.buf, squares.buf, sum.itemsize, sum.shape[0], first, rows, ring, out.buf,
              least.buf, &all);
    free(ring);
    Py_END_ALLOW_THREADS
    result = Py_BuildValue("KKK", (unsigned long long)all.greatest, (unsigned long long)all.high,
                           (unsigned long long)all.low);
done:
    PyBuffer_Release(&least);
without_least:
    PyBuffer_Release(&out);
without_out:
    PyBuffer_Release(&table);
without_table:
    PyBuffer_Release(&squares);
without_squares:
    PyBuffer_Release(&sum);
    return result;
}
