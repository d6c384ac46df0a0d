/* The module hotpixeld.core._kernel. */
#include "kernel.h"

static PyMethodDef methods[] = {
    {"fold", fold, METH_VARARGS,
     "fold(frames, sum_dn, sum_squares_dn2, top, bottom): add the rows top to bottom of frames."},
    {"add_residuals", add_residuals, METH_VARARGS,
     "add_residuals(frames, total, top, bottom): the third accumulator."},
    {"residual_at", residual_at, METH_VARARGS,
     "residual_at((frame,), sites, out): residuals of one frame at some sites."},
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
