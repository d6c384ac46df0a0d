/* The compiled arithmetic: what moments.py, residual.py, jpeg/, fields.py, screening.py and
 * matched.py do, to the same bits, faster.
 *
 * Optional: without it numpy does the same. Every function checks the shape, the type and the
 * length of all that it is given before it touches a value, allocates before it changes one, and
 * lets other threads run meanwhile. Plain C against the stable ABI; no numpy here, only buffers.
 *
 * A frame is a buffer (height, width, channels) of uint8 or uint16 whose pixels may be followed by
 * some padding (Pillow keeps RGB as four bytes a pixel) and whose rows may be, too.
 */
#ifndef HOTPIXELD_KERNEL_H
#define HOTPIXELD_KERNEL_H
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_FRAMES = 64, /* in one call; 64 x 255 and 64 x 128 stay within 16 bits */
    MOST_CHANNELS = 4,
};

/* A second version of the hot loops for newer processors, where compiler and linker can. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) \
    && !defined(__SANITIZE_ADDRESS__)
#define FAST __attribute__((target_clones("avx2", "default")))
#else
#define FAST
#endif

/* Compiled anew within each version of the loop that calls it. */
#define INLINE static inline __attribute__((always_inline))

/* ---- what the caller gave: buffers.c */

typedef struct {
    Py_ssize_t height, width, channels;
    Py_ssize_t value_bytes;
} Shape;

typedef struct {
    const uint8_t *data;
    Py_ssize_t row_bytes, pixel_bytes;
} Frame;

/* Raise a ValueError; return -1. */
int refuse(const char *why);

/* Check a contiguous array of sums and return 0. */
int sums_fit(const Py_buffer *view, Shape shape, Py_ssize_t value_bytes);

/* Take hold of all frames; return how many, or -1 with an exception and none held. */
int take_frames(PyObject *given, Py_buffer *views, Frame *frames, Shape *shape);

int is_unsigned(const Py_buffer *view);

/* Check that these are rows of a frame and return 0. */
int rows_fit(Py_ssize_t top, Py_ssize_t bottom, Shape shape);

/* Eight bytes as a number, the first one highest. */
static inline uint64_t big_endian(const uint8_t *p)
{
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32
           | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

void release_all(Py_buffer *views, int count);

/* Take hold of a contiguous array of one of these types (struct's letters); return 0, or -1 with an
 * exception and nothing held. */
int take_array(PyObject *given, Py_buffer *view, const char *types, Py_ssize_t value_bytes,
               int dimensions, int writable);

/* Of an array of three dimensions. */
int has_shape(const Py_buffer *view, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c);

/* Check that it is (rows, width, 1 to 4), none of them 0, and return 0. */
int is_band(const Py_buffer *view);

/* ---- what fold.c folds by: sums.c, and residuals.c, which uses that */

enum { CHUNK_PX = 1024 }; /* a chunk of four frames stays within the first cache */

/* Where the values of frames are added up, and room for the work; wide is 4 bytes a sum, else 2. */
typedef struct {
    uint8_t *sum, *squares;
    int is_wide;
    uint8_t room[5][CHUNK_PX * 8 + 8];
} Sums;

/* Add a part of a row of all frames to their sums. */
void add_to_sums(const Frame *frames, int count, Shape shape, Sums *sums, Py_ssize_t y,
                 Py_ssize_t left, Py_ssize_t right);

/* Add some rows' residuals to `total`, and, where sums are given, their values to those while they
 * are in the cache. Return 0, or -1 without memory. */
int add_rows(const Frame *frames, int count, Shape shape, Py_ssize_t top, Py_ssize_t bottom,
             const Py_buffer *total, Sums *sums);

/* ---- what Python calls; module.c says with what */

PyObject *fold(PyObject *self, PyObject *arguments);      /* fold.c */
PyObject *grey_sums(PyObject *self, PyObject *arguments); /* sums.c */
PyObject *add_residuals(PyObject *self, PyObject *arguments); /* residuals.c */
PyObject *residual_at(PyObject *self, PyObject *arguments);
PyObject *walk(PyObject *self, PyObject *arguments);      /* scan.c */
PyObject *read_blocks(PyObject *self, PyObject *arguments);
PyObject *copy_bits(PyObject *self, PyObject *arguments); /* bits.c */
PyObject *same_bits(PyObject *self, PyObject *arguments);
PyObject *unstuff(PyObject *self, PyObject *arguments);
PyObject *stuff(PyObject *self, PyObject *arguments);
PyObject *find_marker(PyObject *self, PyObject *arguments);
PyObject *steadiness(PyObject *self, PyObject *arguments); /* steadiness.c */
PyObject *block_sums(PyObject *self, PyObject *arguments); /* screening.c */
PyObject *phase_sums(PyObject *self, PyObject *arguments);
PyObject *screen(PyObject *self, PyObject *arguments);
PyObject *matched(PyObject *self, PyObject *arguments); /* matched.c */

#endif
