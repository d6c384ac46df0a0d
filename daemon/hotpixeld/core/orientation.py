"""EXIF orientation: from what a viewer shows to what the file stores."""


def stored_position(
    shown_row: int, shown_column: int, orientation: int, stored_shape: tuple[int, int]
) -> tuple[int, int]:
    """Return the stored row and column of a pixel that a viewer shows at the given place.

    Parameters
    ----------
    shown_row, shown_column : int
        0-based from the top left of the picture as a viewer shows it.
    orientation : int
        EXIF tag 0x0112, 1 to 8 (EXIF 2.32, 4.6.4); anything else counts as 1.
    stored_shape : (int, int)
        Stored height and width.

    Returns
    -------
    (int, int)
        Row and column in the stored frame; outside of it when the shown place is outside.
    """
    last_row, last_column = stored_shape[0] - 1, stored_shape[1] - 1
    row, column = shown_row, shown_column
    places = {
        2: (row, last_column - column),
        3: (last_row - row, last_column - column),
        4: (last_row - row, column),
        5: (column, row),
        6: (last_row - column, row),
        7: (last_row - column, last_column - row),
        8: (column, last_column - row),
    }
    return places.get(orientation, (row, column))
