/* The module hotpixeld.core._kernel. */
#include "kernel.h"

static PyMethodDef methods[] = {
    {"fold", fold, METH_VARARGS,
     "fold(frames, sum_dn, sum_squares_dn2, residual or None, top, bottom): add the rows top to "
     "bottom of frames, and their residuals."},
    {"grey_sums", grey_sums, METH_VARARGS,
     "grey_sums(frame, out, top, bottom, step): add the channels of every step-th row by column."},
    {"add_residuals", add_residuals, METH_VARARGS,
     "add_residuals(frames, total, top, bottom): the third accumulator."},
    {"residual_at", residual_at, METH_VARARGS,
     "residual_at((frame,), sites, out): residuals of one frame at some sites."},
    {"walk", walk, METH_VARARGS,
     "walk(stream, tables, dc, ac, owners, mcus, wanted, starts, values) -> the bit after all, or -1."},
    {"read_blocks", read_blocks, METH_VARARGS,
     "read_blocks(stream, tables, dc, ac, positions, blocks, after_dc, ends) -> whether all can be."},
    {"copy_bits", copy_bits, METH_VARARGS, "copy_bits(source, at, count, out, out_at): copy bits."},
    {"same_bits", same_bits, METH_VARARGS,
     "same_bits(one, one_at, other, other_at, count) -> whether so many bits are equal."},
    {"unstuff", unstuff, METH_VARARGS,
     "unstuff(data, start, end, out) -> bytes written without stuffing, -1 where a marker stands."},
    {"stuff", stuff, METH_VARARGS, "stuff(data, out) -> bytes written, 0 after each 255."},
    {"find_marker", find_marker, METH_VARARGS,
     "find_marker(data, start) -> where the first marker stands that no scan holds, or -1."},
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
    {"matched", matched, METH_VARARGS,
     "matched(values, weights, out): rows without the first and the last through the filter."},
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
