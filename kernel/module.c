/* The module hotpixeld.core._kernel. */
#include "kernel.h"

static PyMethodDef methods[] = {
    {"fold", fold, METH_VARARGS,
     "fold(frames, sum_dn, sum_squares_dn2, top, bottom): add the rows top to bottom of frames."},
    {"add_residuals", add_residuals, METH_VARARGS,
     "add_residuals(frames, total, top, bottom, reciprocals): the third accumulator."},
    {"residual_at", residual_at, METH_VARARGS,
     "residual_at((frame,), sites, out, reciprocals): residuals of one frame at some sites."},
    {"walk", walk, METH_VARARGS,
     "walk(stream, tables, dc, ac, starts) -> how many block starts were found and written."},
    {"steadiness", steadiness, METH_VARARGS,
     "steadiness((sum, squares), (count, unit), logarithms, first, (out, least)) -> greatest spread, "
     "and the total's high and low half: how much less subpixels vary than their neighbours."},
    {"block_sums", block_sums, METH_VARARGS,
     "block_sums(values, limits, out): sums of the sizes, none over its limit, in 16 x 16 blocks."},
    {"phase_sums", phase_sums, METH_VARARGS,
     "phase_sums(values, inverse, scale, total, size): add what whole blocks hold at each position."},
    {"screen", screen, METH_VARARGS,
     "screen((residual, steadiness), inverses, phases, (screen, share, most), ((places, levels), "
     "(places, levels))) -> how many stand off, and how many are calm."},
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
