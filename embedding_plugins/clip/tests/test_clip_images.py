"""Images of every kind become small RGB images, and those that cannot be read are refused with the reason."""

import io
import re
import struct
import zlib

import pytest

from datasette_embed_clip import FORMATS, Unreadable, open_image

Image = pytest.importorskip("PIL.Image")
np = pytest.importorskip("numpy")

SIDE = 32


def saved(image, format="PNG", **options):
    """The bytes of an image."""
    output = io.BytesIO()
    image.save(output, format, **options)
    return output.getvalue()


def colour(data):
    """The colour in the middle of an image, as it is opened."""
    image = open_image(data, SIDE)
    return image.getpixel((image.width // 2, image.height // 2))


def png_of(width, height):
    """A PNG of a few bytes that claims to be so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("format", FORMATS)
def test_formats(picture, format):
    """Each format is opened, and its shorter side becomes what the model sees."""
    image = open_image(picture(format=format, size=(120, 80)), SIDE)
    assert (image.mode, image.size) == ("RGB", (48, SIDE))


@pytest.mark.parametrize("size", [(500, 300), (300, 500), (333, 100), (40, 40), (20, 90), (1, 1)])
def test_shrinking_changes_no_vector(clip, picture, size):
    """An image has the vector that the library gives to the whole of it."""
    data = picture(size=size, format="PNG")
    expected = clip._loaded.library.encode([Image.open(io.BytesIO(data))])
    assert clip.embed_batch([data]) == pytest.approx(expected, abs=1e-6)


def test_a_small_image_is_left_as_it_is(picture):
    """What is smaller than the model sees is not made larger here."""
    assert open_image(picture(size=(20, 10)), SIDE).size == (20, 10)


def test_transparent_is_white():
    """What shows through is white, whatever colour hides there."""
    assert colour(saved(Image.new("RGBA", (40, 40), (255, 0, 0, 0)))) == (255, 255, 255)
    assert colour(saved(Image.new("P", (40, 40), 0), transparency=0)) == (255, 255, 255)
    assert colour(saved(Image.new("RGBA", (40, 40), (255, 0, 0, 255)))) == (255, 0, 0)


def test_cmyk():
    """A JPEG for the press has its colours."""
    red, green, blue = colour(saved(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG"))
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits(format):
    """Middle grey of 16 bits is middle grey."""
    data = saved(Image.fromarray(np.full((40, 40), 32768, dtype=np.uint16)), format)
    assert colour(data) == (127, 127, 127)


def test_a_picture_that_was_turned():
    """A camera's note of which way is up is followed."""
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is on the right
    image = open_image(saved(Image.new("RGB", (64, 32)), "JPEG", exif=exif), SIDE)
    assert image.size == (32, 64)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_animation(format):
    """Of moving pictures the first is taken."""
    first, second = (Image.new("RGB", (40, 40), name) for name in ("red", "blue"))
    data = saved(first, format, save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert colour(data)[0] > 200 > colour(data)[2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is none of AVIF, BMP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is none of AVIF, BMP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is none of AVIF, BMP"),
        (png_of(40, 40), "it is broken"),
        (png_of(10_000, 10_000), "it has more than 89,478,485 pixels"),
        (png_of(60_000, 60_000), "it has more than 89,478,485 pixels"),
        (png_of(1, 100_000), "it is 1 by 100,000 pixels, which is too narrow"),
    ],
    ids=["empty", "svg", "eps", "no-pixels", "large", "bomb", "strip"],
)
def test_what_cannot_be_read(data, reason):
    """The reason is said; a bomb is refused by the size that it claims, before it is unpacked."""
    with pytest.raises(Unreadable, match=re.escape(reason)):
        open_image(data, SIDE)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_truncated(picture, format, part):
    """A file that ends too early is refused as broken."""
    data = picture(format=format, size=(200, 200))
    with pytest.raises(Unreadable, match=r"it is broken|it is none of"):
        open_image(data[: int(len(data) * part)], SIDE)


def test_an_image_that_cannot_be_read_is_an_error_of_the_model(clip):
    """The error names the model and the reason, and is the fault of who asks."""
    with pytest.raises(Exception, match=rf"{clip.model_id} cannot read this image: it is none of") as caught:
        clip.embed(b"no image")
    assert caught.value.status == 400
