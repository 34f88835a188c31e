"""CLIP for datasette-embed: texts and images in one space, of BLOBs and of the files that a text column names."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from datasette import hookimpl

from datasette_embeddings import EmbeddingModel, ModelError, ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from datasette_embed_sentence_transformers import Configuration, SentenceTransformerModel, Settings
    from PIL.Image import Image

PLUGIN = "datasette-embed-clip"
CLIP = "sentence-transformers/clip-ViT-B-32"
DIMENSIONS = {CLIP: 512, "sentence-transformers/clip-ViT-L-14": 768}
KEYS = ("path", "device")
# Not all that Pillow reads: for EPS, say, it starts another program.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
MOST_BYTES = 50_000_000  # of a file
NARROWEST = 100  # times as long as wide: the model would blow up a narrower image to gigabytes
READERS = 4  # threads: an image takes longer to unpack than to embed
FETCH_TIMEOUT = 10  # seconds without a byte
FETCH_SECONDS = 30  # for all of them


@hookimpl
def register_embedding_models(register, datasette):
    from datasette_embed_sentence_transformers import Configuration

    config, configuration = datasette.plugin_config(PLUGIN) or {}, Configuration(PLUGIN)
    configuration.check_keys(config, ("clip", "models", "files"), "it")
    files = _files(configuration, config["files"]) if "files" in config else None
    clip = configuration.settings(config.get("clip", {}), KEYS, "clip")
    others = configuration.models(config.get("models", []), ("id", "aliases", "name", *KEYS))
    for model_id, aliases, settings in [(CLIP, ("clip-ViT-B-32", "clip"), clip), *others]:
        model = Clip(model_id, settings)
        register(model, aliases=aliases)
        if files:
            register(ClipFiles(model, files), aliases=tuple(f"{alias}-files" for alias in aliases))


def _files(configuration: Configuration, entry: Any) -> Files:
    configuration.check_keys(entry, ("folder", "hosts"), "files")
    folder, hosts = entry.get("folder"), entry.get("hosts", [])
    if not (folder is None or (isinstance(folder, str) and Path(folder).expanduser().is_dir())):
        raise configuration.wrong("files.folder", f"must be a folder that is there, not {folder!r}")
    if not (isinstance(hosts, list) and all(isinstance(host, str) and "/" not in host for host in hosts)):
        raise configuration.wrong("files.hosts", f"must be a list of hosts such as images.example.org, not {hosts!r}")
    if folder is None and not hosts:
        raise configuration.wrong("files", "needs a folder, hosts, or both")
    root = None if folder is None else Path(folder).expanduser().resolve()
    return Files(root, frozenset(host.lower() for host in hosts))


class Unreadable(ModelError):
    """Why an image cannot be read; the model puts itself before it."""

    status = 400  # of a query, it is the fault of who asks


class Clip(EmbeddingModel):
    """A CLIP model of the sentence-transformers library: a text is embedded as text, binary as an image."""

    supports_binary = True
    max_tokens = 77
    batch_size = 1024  # images at a time in memory, made as small as the model sees them: some 200 MB

    def __init__(self, model_id: str, settings: Settings) -> None:
        self.model_id = model_id
        self.settings = replace(settings, dtype="float32")  # bfloat16 was not measured on CLIP
        self.dimensions = DIMENSIONS.get(model_id)
        self._loading = threading.Lock()
        self._loaded: SentenceTransformerModel | None = None

    def load(self) -> None:
        """Load the weights, unless a model that shares them has."""
        with self._loading:
            self._loaded = self._loaded or load_clip(self.model_id, self.settings)
        self.dimensions = self._loaded.dimensions

    def embed_batch(self, contents: list[str | bytes]) -> np.ndarray:
        """One float32 row per content, of the length that the model gives it."""
        return self._embed(contents, self._opened)

    def count_tokens(self, content: str) -> int | None:
        """Tokens with the two special ones; None before the model is loaded."""
        return self._loaded.count_tokens(content) if self._loaded else None

    def _embed(self, contents: list[Any], opened: Callable[[Any], str | Image]) -> np.ndarray:
        import numpy as np

        # All are opened before any is embedded, so that a broken one costs little.
        with ThreadPoolExecutor(READERS) as pool:
            inputs = list(pool.map(opened, contents))
        vectors = np.empty((len(inputs), self.dimensions), np.float32)
        for texts in (True, False):  # the library takes them apart
            places = [place for place, each in enumerate(inputs) if isinstance(each, str) is texts]
            if places:
                vectors[places] = self._loaded.library.encode(
                    [inputs[place] for place in places], show_progress_bar=False
                )
        return vectors

    def _opened(self, content: str | bytes) -> str | Image:
        from datasette_embed_sentence_transformers import encodable

        return encodable([content])[0] if isinstance(content, str) else self._image(lambda: content)

    def _image(self, read: Callable[[], bytes]) -> Image:
        size = self._loaded.library[0].processor.image_processor.size
        try:
            return open_image(read(), size.shortest_edge or max(size.height, size.width))
        except Unreadable as error:
            raise Unreadable(f"The model {self.model_id} cannot read this image: {error}") from error


class ClipFiles(Clip):
    """The same model for a column whose texts are paths or addresses of images; as a query, a text is a text."""

    max_tokens = None

    def __init__(self, clip: Clip, files: Files) -> None:
        super().__init__(f"{clip.model_id}-files", clip.settings)
        self.dimensions, self.remote = clip.dimensions, bool(files.hosts)
        self._clip, self._files = clip, files

    def load(self) -> None:
        """Share what the model for texts and BLOBs has loaded, or will use."""
        self._clip.load()
        self._loaded, self.dimensions = self._clip._loaded, self._clip.dimensions

    def embed_batch(self, contents: list[str | bytes]) -> np.ndarray:
        """One float32 row per content: a path, an address, or an image itself."""
        return self._embed(contents, self._read)

    def embed_query_batch(self, contents: list[str | bytes]) -> np.ndarray:
        """One float32 row per query: a text or an image."""
        return self._embed(contents, self._opened)

    def count_tokens(self, content: str) -> None:
        """A path has no tokens."""

    def _read(self, content: str | bytes) -> str | Image:
        return self._image(lambda: self._files.read(content)) if isinstance(content, str) else self._opened(content)


def load_clip(model_id: str, settings: Settings) -> SentenceTransformerModel:
    """The library's model with its tokenizer; ModelUnavailable where it takes no images."""
    from datasette_embed_sentence_transformers import SentenceTransformerModel

    model = SentenceTransformerModel(model_id, settings)
    model.load()
    if "image" not in model.library.modalities:
        raise ModelUnavailable(f"{settings.path or settings.name or model_id} is no CLIP model: it takes no images")
    length = model.library._input_length  # by which texts are sorted; images are all of one size
    model.library._input_length = lambda content: length(content) if isinstance(content, str) else 0
    return model


@dataclass(frozen=True)
class Files:
    """What may be read of the files that a text names: those in a folder, and those of some hosts."""

    folder: Path | None  # resolved
    hosts: frozenset[str]  # lower-case, each with its port where that is not the usual one

    def read(self, name: str) -> bytes:
        """The bytes of an image by its path in the folder, or by its address; Unreadable says what is wrong."""
        name = name.strip()
        read = self._fetch if name.lower().startswith(("http://", "https://")) else self._read
        try:
            data = read(name)
        except HTTPError as error:
            error.close()
            raise Unreadable(f"the server answered {error.code} for {name[:200]!r}") from error
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a link to itself
            reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
            raise Unreadable(f"{name[:200]!r} cannot be read ({reason})") from error
        if len(data) > MOST_BYTES:
            raise Unreadable(f"{name[:200]!r} has more than {MOST_BYTES // 1_000_000} MB")
        return data

    def _read(self, name: str) -> bytes:
        if self.folder is None:
            raise Unreadable("it is no address, and no folder is configured")
        path = (self.folder / name).resolve()  # without links and ..
        if not path.is_relative_to(self.folder):
            raise Unreadable(f"{name[:200]!r} is not in the folder that is configured")
        if not path.is_file():  # a pipe would never end
            raise Unreadable(f"there is no file {name[:200]!r}")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)

    def _fetch(self, address: str) -> bytes:
        self.check_host(address)
        request = Request(quote(address, safe="%/:?#[]@!$&'()*+,;=~"), headers={"User-Agent": PLUGIN})
        until, data = time.monotonic() + FETCH_SECONDS, b""
        with build_opener(_Redirects(self)).open(request, timeout=FETCH_TIMEOUT) as response:
            while len(data) <= MOST_BYTES and (more := response.read1(1_000_000)):
                data += more
                if time.monotonic() > until:
                    raise Unreadable(f"{address[:200]!r} took longer than {FETCH_SECONDS} seconds")
        return data

    def check_host(self, address: str) -> None:
        """Unreadable unless the address is on one of the hosts."""
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or parts.netloc.lower() not in self.hosts:
            raise Unreadable(f"{parts.netloc[:200]!r} is not among the hosts that are configured")


class _Redirects(HTTPRedirectHandler):
    """Follows a redirect only to one of the hosts."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def redirect_request(self, *args: Any) -> Request | None:
        self._files.check_host(args[-1])
        return super().redirect_request(*args)


def open_image(data: bytes, side: int) -> Image:
    """The image upright and in RGB, its shorter side at most so many pixels; Unreadable says what is wrong."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > (Image.MAX_IMAGE_PIXELS or width * height):
            raise Image.DecompressionBombError
        if max(width, height) > NARROWEST * min(width, height):
            raise Unreadable(f"it is {width:,} by {height:,} pixels, which is too narrow")
        return _shrunk(_in_rgb(ImageOps.exif_transpose(image)), side)
    except UnidentifiedImageError:
        raise Unreadable(f"it is none of {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable(f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels") from None
    except Unreadable:
        raise
    except Exception as error:  # the decoders of broken images raise whatever they stumble over
        raise Unreadable(f"it is broken ({str(error) or type(error).__name__})") from error


def _in_rgb(image: Image) -> Image:
    from PIL import Image

    if image.mode.startswith("I"):  # grey of 16 bits, of which Pillow would make white all but the darkest
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def _shrunk(image: Image, side: int) -> Image:
    """The image as the model's own processor will make it first of all, so that what waits for it is small."""
    from PIL import Image

    width, height = image.size
    if min(width, height) <= side:
        return image
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    return image.resize(size, Image.Resampling.BICUBIC)
