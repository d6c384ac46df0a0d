import pytest

from hotpixeld.edge.names import Names, is_temporary

TEMPORARY = [
    ".IMG_1.jpg.Xy12ab",
    ".syncthing.IMG_1.jpg.tmp",
    ".goutputstream-ABC",
    ".nfs0001",
    "._IMG_1.jpg",
    "~syncthing~IMG_1.jpg.tmp",
    "IMG_1.jpg.part",
    "IMG_1.jpg.ocTransferId123.part",
    ".IMG_1.jpg.~1a2b",
    "IMG_1.~1a2b.jpg",
    "IMG_1.jpg.partial",
    "IMG_1.jpg.filepart",
    "IMG_1.jpg.crdownload",
    "IMG_1.TMP",
    "IMG_1.jpg.temp",
    "IMG_1.jpg~",
    "~$IMG_1.jpg",
    "IMG_1.jpg_exiftool_tmp",
    "IMG_1.jpg.!sync",
    "IMG_1.jpg.lftp",
]


@pytest.mark.parametrize("name", TEMPORARY)
def test_temporary_names_of_other_programs_are_known(name: str) -> None:
    assert is_temporary(name)
    assert not Names().wants(name)


@pytest.mark.parametrize("name", ["IMG_1.jpg", "a b.JPEG", "x.tiff", "part.png", "tmp.webp"])
def test_photos_are_wanted_by_their_suffix_in_any_case(name: str) -> None:
    assert Names().wants(name)
    assert Names().wants(f"2024/holiday/{name}")


@pytest.mark.parametrize("name", ["clip.mp4", "IMG_1.xmp", "jpg", "README", "x.jpg.txt", ".jpg"])
def test_other_files_are_passed_over(name: str) -> None:
    assert not Names().wants(name)


@pytest.mark.parametrize(
    "folder",
    ["rpd-tmp-1", "@eaDir", ".stversions", ".Trash-1000", "lost+found", "__MACOSX", ".stfolder"],
)
def test_a_photo_in_a_junk_folder_is_not_wanted_at_any_depth(folder: str) -> None:
    names = Names()
    assert not names.enters(folder)
    assert not names.wants(f"{folder}/IMG_1.jpg")
    assert not names.wants(f"2024/{folder}/a/IMG_1.jpg")


def test_globs_of_the_user_are_added_to_the_built_in_ones() -> None:
    names = Names(["*_draft.jpg", "private", "2023/*"])
    assert not names.wants("a_draft.jpg")
    assert not names.wants("private/a.jpg")
    assert not names.wants("2023/a.jpg")
    assert not names.wants(".a.jpg")
    assert names.wants("2024/a.jpg")
