"""Why a photo is refused: the only words that ``PhotoError.reason`` takes from this room."""

EMPTY = "empty"  # no bytes
NOT_A_PHOTO = "not-a-photo"  # the content is no image that we know, whatever the name says
TRUNCATED = "truncated"  # the end is missing
DAMAGED = "damaged"  # a decoder or a checksum says no, or zeros stand where data must be
TOO_LARGE = "too-large"  # more pixels than limits.pixels, or than memory holds
SIXTEEN_BIT_COLOUR = "sixteen-bit-colour"  # needs the extra `deep`
NEEDS_HEIF = "needs-heif"  # HEIC without the extra `heif`
NEEDS_RAW = "needs-raw"  # RAW without the extra `raw`
UNSUPPORTED_JPEG = "unsupported-jpeg"  # 12 bit, lossless or hierarchical
UNSUPPORTED_PIXELS = "unsupported-pixels"  # float, 32 bit, signed, 12 bit, L*a*b*
SEVERAL_FRAMES = "several-frames"  # animated, or pages that are no reduced previews
NOT_WRITABLE = (
    "not-writable"  # it can be read, but a copy with only the repair changed cannot be made
)

ALL = frozenset(
    {
        EMPTY,
        NOT_A_PHOTO,
        TRUNCATED,
        DAMAGED,
        TOO_LARGE,
        SIXTEEN_BIT_COLOUR,
        NEEDS_HEIF,
        NEEDS_RAW,
        UNSUPPORTED_JPEG,
        UNSUPPORTED_PIXELS,
        SEVERAL_FRAMES,
        NOT_WRITABLE,
    }
)
