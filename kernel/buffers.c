/* Shapes, types and lengths of what the caller gave, checked before a value is touched. */
#include "kernel.h"

int refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return -1;
}

int rows_fit(Py_ssize_t top, Py_ssize_t bottom, Shape shape)
{
    if (top < 0 || top > bottom || bottom > shape.height)
        return refuse("rows outside of the frame");
    return 0;
}

int is_unsigned(const Py_buffer *view)
{
    return view->format && strlen(view->format) == 1 && strchr("BHILQ", view->format[0]);
}

static int is_aligned(const Py_buffer *view)
{
    return (uintptr_t)view->buf % (size_t)view->itemsize == 0;
}

int sums_fit(const Py_buffer *view, Shape shape, Py_ssize_t value_bytes)
{
    if (view->ndim != 3 || !is_aligned(view) || view->itemsize != value_bytes || view->shape[0] != shape.height
        || view->shape[1] != shape.width || view->shape[2] != shape.channels)
        return refuse("sums of another shape or type");
    return 0;
}

void release_all(Py_buffer *views, int count)
{
    while (count-- > 0)
        PyBuffer_Release(&views[count]);
}

int take_frames(PyObject *given, Py_buffer *views, Frame *frames, Shape *shape)
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

int take_array(PyObject *given, Py_buffer *view, const char *types, Py_ssize_t value_bytes,
               int dimensions, int writable)
{
    int how = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(given, view, how) < 0)
        return -1;
    if (view->format && strlen(view->format) == 1 && strchr(types, view->format[0])
        && view->itemsize == value_bytes && view->ndim == dimensions
        && (uintptr_t)view->buf % (size_t)value_bytes == 0)
        return 0;
    PyBuffer_Release(view);
    return refuse("an array of another type, or with more or fewer dimensions");
}

int has_shape(const Py_buffer *view, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c)
{
    return view->shape[0] == a && view->shape[1] == b && view->shape[2] == c;
}

int is_band(const Py_buffer *view)
{
    if (view->shape[0] < 1 || view->shape[1] < 1 || view->shape[2] < 1
        || view->shape[2] > MOST_CHANNELS || view->len / view->itemsize > INT32_MAX)
        return refuse("a band is (rows, width, 1 to 4)");
    return 0;
}
