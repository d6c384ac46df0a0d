/* Folding frames: sums, sums of squares and residuals in one pass over the values. */
#include "kernel.h"

static int add_all(const Frame *frames, int count, Shape shape, Py_ssize_t top, Py_ssize_t bottom,
                   const Py_buffer *residual, Sums *sums)
{
    if (residual->buf)
        return add_rows(frames, count, shape, top, bottom, residual, sums);
    for (Py_ssize_t y = top; y < bottom; y++)
        add_to_sums(frames, count, shape, sums, y, 0, shape.width);
    return 0;
}

PyObject *fold(PyObject *self, PyObject *arguments)
{
    (void)self;
    PyObject *given, *arrays[3], *result = NULL;
    Py_buffer sum = {0}, squares = {0}, residual = {0}, views[MOST_FRAMES];
    Frame frames[MOST_FRAMES];
    Shape shape;
    Py_ssize_t top, bottom;
    int count = 0, failed;
    if (!PyArg_ParseTuple(arguments, "OOOOnn", &given, &arrays[0], &arrays[1], &arrays[2], &top,
                          &bottom))
        return NULL;
    const int writable = PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT;
    if (PyObject_GetBuffer(arrays[0], &sum, writable) < 0
        || PyObject_GetBuffer(arrays[1], &squares, writable) < 0
        || (arrays[2] != Py_None && PyObject_GetBuffer(arrays[2], &residual, writable) < 0)
        || (count = take_frames(given, views, frames, &shape)) < 0)
        goto without_frames;
    if (sums_fit(&sum, shape, shape.value_bytes == 1 && sum.itemsize == 2 ? 2 : 4) < 0
        || sums_fit(&squares, shape, shape.value_bytes == 1 ? 4 : 8) < 0
        || (residual.buf && sums_fit(&residual, shape, residual.itemsize == 2 ? 2 : 4) < 0)
        || rows_fit(top, bottom, shape) < 0)
        goto done;
    if (!is_unsigned(&sum) || !is_unsigned(&squares)) {
        refuse("sums that are not unsigned");
        goto done;
    }
    Sums *sums = calloc(1, sizeof *sums);
    if (!sums) {
        PyErr_NoMemory();
        goto done;
    }
    sums->sum = sum.buf, sums->squares = squares.buf, sums->is_wide = sum.itemsize == 4;
    Py_BEGIN_ALLOW_THREADS
    failed = add_all(frames, count, shape, top, bottom, &residual, sums);
    free(sums);
    Py_END_ALLOW_THREADS
    result = failed ? PyErr_NoMemory() : Py_NewRef(Py_None);
done:
    release_all(views, count);
without_frames:
    PyBuffer_Release(&residual);
    PyBuffer_Release(&squares);
    PyBuffer_Release(&sum);
    return result;
}
