/* The matched filter of a ranking, as matched.py has it: single floats in the same order of
 * operations (the build forbids to contract them), so that the bits are the same. */
#include "kernel.h"

enum {
    CHANNELS = 3,
    SUMS = 3, /* of a channel: the value itself, those beside it, those at its corners */
    LIMIT = 32767,
};

typedef struct {
    float *channel[CHANNELS]; /* each with a pixel more on either side */
} Row;

FAST static void read_row(const int32_t *restrict from, Py_ssize_t width, Row row)
{
    float *restrict red = row.channel[0] + 1, *restrict green = row.channel[1] + 1;
    float *restrict blue = row.channel[2] + 1;
    for (Py_ssize_t i = 0; i < width; i++)
        red[i] = (float)from[3 * i], green[i] = (float)from[3 * i + 1],
        blue[i] = (float)from[3 * i + 2];
    for (int c = 0; c < CHANNELS; c++) { /* mirrored, without repeating the edge */
        row.channel[c][0] = row.channel[c][2];
        row.channel[c][width + 1] = row.channel[c][width - 1];
    }
}

/* Each channel of one row: its own and the other channels' sums, weighed and rounded. */
FAST static void weigh_row(Row up, Row middle, Row down, const float *weights, Py_ssize_t width,
                           float *weighed[CHANNELS])
{
#pragma GCC ivdep
    for (Py_ssize_t i = 0; i < width; i++) {
        float sums[CHANNELS * SUMS];
        for (int c = 0; c < CHANNELS; c++) {
            const float *u = up.channel[c] + i, *m = middle.channel[c] + i;
            const float *d = down.channel[c] + i;
            sums[SUMS * c] = m[1];
            sums[SUMS * c + 1] = (u[1] + d[1]) + (m[0] + m[2]);
            sums[SUMS * c + 2] = (u[0] + u[2]) + (d[0] + d[2]);
        }
        for (int c = 0; c < CHANNELS; c++) {
            const float *weight = weights + CHANNELS * SUMS * c;
            float total = sums[0] * weight[0];
            for (int k = 1; k < CHANNELS * SUMS; k++)
                total += sums[k] * weight[k];
            weighed[c][i] = total < LIMIT ? total > -LIMIT ? total : -LIMIT : LIMIT;
        }
    }
}

FAST static void put_row(float *const weighed[CHANNELS], Py_ssize_t width, int16_t *restrict out)
{
    const float *restrict red = weighed[0], *restrict green = weighed[1], *restrict blue = weighed[2];
    const float rounding = 12582912.0f; /* added and taken off, halves go to the even number */
    for (Py_ssize_t i = 0; i < width; i++) {
        out[3 * i] = (int16_t)(red[i] + rounding - rounding);
        out[3 * i + 1] = (int16_t)(green[i] + rounding - rounding);
        out[3 * i + 2] = (int16_t)(blue[i] + rounding - rounding);
    }
}

static void filter(const int32_t *values, Py_ssize_t rows, Py_ssize_t width, const float *weights,
                   float *room, int16_t *out)
{
    Row held[3];
    float *weighed[CHANNELS];
    for (int c = 0; c < CHANNELS; c++, room += width)
        weighed[c] = room;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < CHANNELS; c++, room += width + 2)
            held[r].channel[c] = room;
    for (Py_ssize_t y = 0; y < rows + 2; y++, values += CHANNELS * width) {
        read_row(values, width, held[y % 3]);
        if (y < 2)
            continue;
        weigh_row(held[(y + 1) % 3], held[(y + 2) % 3], held[y % 3], weights, width, weighed);
        put_row(weighed, width, out + (y - 2) * CHANNELS * width);
    }
}

PyObject *matched(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given[3], *result = NULL;
    Py_buffer values, weights, out;
    if (!PyArg_ParseTuple(arguments, "OOO", &given[0], &given[1], &given[2]))
        return NULL;
    if (take_array(given[0], &values, "i", 4, 3, 0) < 0)
        return NULL;
    if (take_array(given[1], &weights, "f", 4, 2, 0) < 0)
        goto without_weights;
    if (take_array(given[2], &out, "h", 2, 3, 1) < 0)
        goto without_out;
    Py_ssize_t rows = values.shape[0] - 2, width = values.shape[1];
    if (rows < 1 || width < 2 || values.shape[2] != CHANNELS || !has_shape(&out, rows, width, CHANNELS)
        || weights.shape[0] != CHANNELS || weights.shape[1] != CHANNELS * SUMS) {
        refuse("values of a row more above and below than are filtered; three channels; 3 x 9 weights");
        goto done;
    }
    float *room = malloc((size_t)(CHANNELS * width + 3 * CHANNELS * (width + 2)) * sizeof *room);
    if (!room) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    filter(values.buf, rows, width, weights.buf, room, out.buf);
    free(room);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&out);
without_out:
    PyBuffer_Release(&weights);
without_weights:
    PyBuffer_Release(&values);
    return result;
}
