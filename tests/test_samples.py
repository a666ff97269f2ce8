"""Samples from files, and what is refused there."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from saebook import samples

X = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)


def test_npy_is_flattened_and_mapped(tmp_path):
    np.save(tmp_path / "x.npy", X)
    found = samples.read_samples(tmp_path / "x.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, X.reshape(5, 12))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_numbers_that_are_not_float32(tmp_path, dtype):
    x = (255 * X).astype(dtype) if dtype == np.uint8 else X.astype(dtype)
    np.savez(tmp_path / "x.npz", x)
    found = samples.read_samples(tmp_path / "x.npz")
    assert found.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(found, X.reshape(5, 12), atol=1 / 255)


def test_one_of_several_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", train=X, test=X[:2])
    assert samples.read_samples(tmp_path / "x.npz", "test").shape == (2, 12)
    with pytest.raises(ValueError, match=r"x\.npz holds several .* train, test, got None"):
        samples.read_samples(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="must be one of train, test, got 'val'"):
        samples.read_samples(tmp_path / "x.npz", "val")


def test_images_there_and_back(tmp_path):
    pixels = (255 * X).astype(np.uint8)
    (tmp_path / "in").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).convert("RGB").save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    x, shape, names = samples.read_images(tmp_path / "in")
    assert (shape, names[0]) == ((4, 3), "0.png")
    np.testing.assert_array_equal(np.rint(255 * x), pixels.reshape(5, 12))
    samples.write_images(tmp_path / "out", x, shape, names)
    np.testing.assert_array_equal(samples.read_samples(tmp_path / "out"), x)


def test_big_endian_numbers_keep_their_width_and_names_are_no_samples(tmp_path):
    np.savez(tmp_path / "x.npz", x=X.astype(">f8"), names=np.array(list("abcde")))
    found, shape, names = samples.read_named(tmp_path / "x.npz")
    assert found.dtype == np.float64
    assert (shape, names) == ((4, 3), None)


RAMP = np.linspace(0, 1, 48).reshape(6, 8)


def one(folder, image, name="a.png", **options):
    """What is read of a folder with one file."""
    image.save(folder / name, **options)
    x, shape, _ = samples.read_images(folder)
    return x.reshape(-1, *shape)


@pytest.mark.parametrize(
    ("dtype", "top", "name"),
    [
        (np.uint8, 255, "a.png"),
        ("<u2", 65535, "a.png"),
        ("<u2", 65535, "a.tif"),
        (">u2", 65535, "a.tif"),
        (np.float32, 1, "a.tif"),
    ],
)
def test_pixels_are_scaled_by_the_range_of_their_type(tmp_path, dtype, top, name):
    stored = (RAMP * top).round(6).astype(dtype)
    found = one(tmp_path, Image.fromarray(stored), name)
    np.testing.assert_allclose(found[0], stored / top, atol=1e-6)
    assert len(np.unique(found)) == 48


def test_white_is_zero_where_the_file_says_so(tmp_path):
    stored = (RAMP * 65535).round().astype(np.uint16)
    white_is_zero = one(tmp_path, Image.fromarray(stored), "a.tif", tiffinfo={262: 0})
    np.testing.assert_allclose(white_is_zero[0], 1 - stored / 65535, atol=1e-6)


def test_twelve_bits_are_scaled_by_their_own_range(tmp_path):
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 3}
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    packed = bytes([0xFF, 0xF8, 0x00])  # 4095 and 2048
    content = b"II*\0" + struct.pack("<I", 12) + packed + b"\0" + struct.pack("<H", len(tags))
    (tmp_path / "a.tif").write_bytes(content + entries + bytes(4))
    found = samples.read_images(tmp_path)[0]
    np.testing.assert_allclose(found, [[1, 2048 / 4095]], atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (255 * RAMP.astype(np.float32), "floating-point numbers in .* got float32 from 0 to 255"),
        (np.full((6, 8), np.nan, np.float32), "floating-point numbers in .* got float32 from nan"),
        ((RAMP * 65535).astype(np.int32), "must be of 8 or 16 bits, .* got int32 from 0 to 65535"),
    ],
)
def test_pixels_of_unknown_range_are_refused(tmp_path, pixels, reason):
    with pytest.raises(ValueError, match=rf"a\.tif must be an image, .*{reason}"):
        one(tmp_path, Image.fromarray(pixels), "a.tif")


def test_what_is_transparent_is_white(tmp_path):
    ink = np.zeros((6, 8), np.uint8)
    ink[2], ink[3] = 255, 51
    expected = 1 - ink / 255
    alpha, black = Image.fromarray(ink), Image.new("L", (8, 6))
    for mode, name in (("LA", "a.png"), ("RGBA", "a.png"), ("PA", "a.tif"), ("RGBA", "a.webp")):
        image = black.convert("P" if mode == "PA" else mode)
        image.putalpha(alpha)
        found = one(tmp_path, image, name, **({"lossless": True} if "webp" in name else {}))
        np.testing.assert_allclose(found[0], expected, atol=1e-6, err_msg=mode)
        (tmp_path / name).unlink()
    sharp = (ink > 0).astype(np.uint8)
    for image in (
        Image.fromarray(1 - sharp),
        Image.fromarray(1 - sharp).convert("P"),
        Image.fromarray((1 - sharp).astype(np.uint16)),
        Image.fromarray(np.dstack([1 - sharp] * 3)),
    ):
        clear = (1, 1, 1) if image.mode == "RGB" else 1
        found = one(tmp_path, image, transparency=clear)
        np.testing.assert_array_equal(found[0], 1 - sharp, err_msg=image.mode)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_photographs_are_upright(tmp_path, orientation, name):
    stored = np.random.default_rng(0).integers(0, 256, (6, 8), dtype=np.uint8)
    turned = [
        stored,
        stored[:, ::-1],
        stored[::-1, ::-1],
        stored[::-1],
        stored.T,
        np.rot90(stored, -1),
        stored[::-1, ::-1].T,
        np.rot90(stored),
    ]
    tag = Image.Exif()
    tag[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    found = one(tmp_path, Image.fromarray(stored), name, exif=tag, **options)
    np.testing.assert_array_equal(np.rint(255 * found[0]), turned[orientation - 1])


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.webp", "a.png"])
def test_every_page_is_read_and_numbered(tmp_path, name):
    pages = [Image.fromarray(np.full((6, 8), grey, np.uint8)) for grey in range(10, 210, 10)]
    options = {"lossless": True} if name == "a.webp" else {}
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:], **options)
    x, _, names = samples.read_images(tmp_path)
    np.testing.assert_array_equal(np.rint(255 * x[:, 0]), range(10, 210, 10))
    assert names == [f"{name}#{number}" for number in range(1, 21)]
    samples.write_images(tmp_path / "out", x, (6, 8), names)
    again, _, names = samples.read_images(tmp_path / "out")
    np.testing.assert_array_equal(again, x)
    assert names[-1] == f"{name}#20.png"


def test_of_a_camera_s_picture_and_its_preview_the_picture_is_read(tmp_path):
    photograph = Image.new("L", (16, 16), 200)
    photograph.save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("L", (8, 8))]
    )
    assert samples.read_images(tmp_path)[1:] == ((16, 16), ["a.jpg"])


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "RGB", "YCbCr"])
def test_colours_become_their_grey(tmp_path, mode):
    grey = Image.fromarray((255 * (RAMP > 0.5)).astype(np.uint8))
    found = one(tmp_path, grey.convert(mode), "a.tif")
    np.testing.assert_array_equal(found[0], RAMP > 0.5)


def test_a_palette_is_looked_up(tmp_path):
    indices = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image = Image.fromarray(indices)
    image.putpalette([255 - value for value in range(256) for _ in range(3)])
    np.testing.assert_array_equal(np.rint(255 * one(tmp_path, image)[0]), 255 - indices)


def test_numbers_in_names_count_as_numbers(tmp_path):
    for number in range(1, 13):
        Image.new("L", (2, 2)).save(tmp_path / f"part{number}.png")
    names = samples.read_images(tmp_path)[2]
    assert names == [f"part{number}.png" for number in range(1, 13)]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.webp", "a.bmp"])
def test_cut_images_are_refused_by_name(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for part in (0, 10, len(whole) // 2, len(whole) - 50):
        (tmp_path / name).write_bytes(whole[:part])
        with pytest.raises(ValueError, match=rf"{name} must be an image, got one that cannot"):
            samples.read_images(tmp_path)


def test_images_too_large_to_be_meant_are_refused_by_name(tmp_path, monkeypatch):
    Image.new("1", (20, 20)).save(tmp_path / "a.png")
    for limit in (300, 100):  # Pillow warns of the one and refuses the other
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=r"a\.png must be an image.*400 pixels"):
            samples.read_images(tmp_path)


def test_pixels_are_clipped_and_rounded_when_written(tmp_path):
    x = np.array([[-0.7, 1.7, 0.4999 / 255, 0.5001 / 255, 253.6 / 255, 1.0]])
    samples.write_images(tmp_path / "out", x, (2, 3), ["a"])
    with Image.open(tmp_path / "out" / "a.png") as image:
        np.testing.assert_array_equal(np.ravel(image), [0, 255, 0, 1, 254, 255])


def test_no_image_is_written_over_another(tmp_path):
    for names in (["a.jpg", "a.png", "a.jpg.png"], ["A.jpg", "a.png", "b.png"]):
        samples.write_images(tmp_path / names[0], np.zeros((3, 4)), (2, 2), names)
        found = sorted(path.name for path in (tmp_path / names[0]).iterdir())
        assert found == sorted(f"{name}.png" for name in names)
    with pytest.raises(FileExistsError):
        samples.write_images(tmp_path / "a.jpg", np.zeros((1, 4)), (2, 2), ["a"])
    with pytest.raises(ValueError, match="reshape"):
        samples.write_images(tmp_path / "b", np.zeros((3, 4)), (2, 3), ["a", "b", "c"])
    assert not (tmp_path / "b").exists()


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz_with(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


HUGE = npy(X).replace(b"(5, 4, 3), }" + b" " * 6, b"(9999999, 99), }")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"", "must be a whole .npy file of numbers"),
        ("x.npy", npy(X)[:-7], "must be a whole .npy file"),
        ("x.npy", HUGE, "must be a whole .npy file"),
        ("x.npy", pickle.dumps(X), "must be a whole .npy file"),
        ("x.npy", npy(np.array([{}], dtype=object), allow_pickle=True), "must be a whole .npy"),
        ("x.npy", npy(X.ravel()), r"must hold samples with features, .*got shape \(60,\)"),
        ("x.npy", npy(X[:0]), r"must hold samples with features, .*got shape \(0, 4, 3\)"),
        (
            "x.npy",
            npy(np.arange(6).reshape(2, 3)),
            "or unsigned 8-bit numbers, got int64",
        ),
        ("x.npy", npy(np.ones((2, 3), np.int8)), "or unsigned 8-bit numbers, got int8"),
        ("x.npy", npy(X.astype(complex)), "or unsigned 8-bit numbers, got complex"),
        ("x.npy", npy(np.array([["a"]])), "or unsigned 8-bit numbers, got <U1"),
        ("x.npz", b"PK", "must be a whole .npz file"),
        ("x.npz", npz_with("a.npy", b"nothing"), "must be a whole .npz file"),
        ("x.npz", npz_with("a.npy", HUGE), "must be a whole .npz file"),
        ("x.csv", b"1,2", "path must be a .npy or .npz file or a folder of images"),
    ],
)
def test_wrong_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        samples.read_samples(tmp_path / name)
    assert "\n" not in str(error.value)


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must hold images .*got none"):
        samples.read_samples(tmp_path)
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"a\.png must be an image"):
        samples.read_samples(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    Image.new("L", (4, 5)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"one size, got a\.png with \(4, 4\) and b\.png with \(5"):
        samples.read_samples(tmp_path)
    with pytest.raises(FileNotFoundError):
        samples.read_samples(tmp_path / "none.npy")


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["npy", "npz"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0, 1),
)
def test_whatever_bytes_are_changed_the_reader_reads_or_refuses(
    tmp_path_factory, kind, changes, cut
):
    content = bytearray(npy(X) if kind == "npy" else npz_with("a.npy", npy(X)))
    for position, byte in changes:
        content[int(position * (len(content) - 1))] = byte
    if cut < 0.2:
        content = content[: int(5 * cut * len(content))]
    path = tmp_path_factory.getbasetemp() / f"fuzzed.{kind}"
    path.write_bytes(content)
    try:
        found = samples.read_samples(path)
    except ValueError as error:
        assert "must" in str(error)  # noqa: PT017
    else:
        assert found.ndim == 2
        assert found.dtype.kind == "f"
