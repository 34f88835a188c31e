"""Both CLIP models keep the contract of model plugins, with the tiny CLIP of conftest.py."""

import pytest
from datasette_embed_sentence_transformers import Settings

from datasette_embed_clip import CLIP, Clip, ClipFiles, Files
from datasette_embeddings.testing import ModelContract


class TestClip(ModelContract):
    """Texts, and images as BLOBs."""

    @pytest.fixture(autouse=True)
    def _setting(self, clip_folder, picture):
        self.folder = clip_folder
        self.binaries = [picture(1), picture(2, size=(200, 300), format="JPEG"), picture(3, size=(8, 8), format="GIF")]

    def make_model(self):
        return Clip(CLIP, Settings(path=str(self.folder), device="cpu"))

    def make_broken_model(self):
        return Clip(CLIP, Settings(path="/no/such/folder"))


class TestClipFiles(TestClip):
    """Paths of files, and images as BLOBs all the same."""

    may_refuse_odd_texts = True  # none of them is the path of an image

    @pytest.fixture(autouse=True)
    def _pictures(self, _setting, tmp_path_factory):
        self.pictures = tmp_path_factory.getbasetemp() / "pictures"
        self.pictures.mkdir(exist_ok=True)
        for number, data in enumerate(self.binaries):
            (self.pictures / f"{number}.png").write_bytes(data)
        self.texts = [f"{number}.png" for number in range(len(self.binaries))]

    def make_model(self):
        return ClipFiles(super().make_model(), Files(self.pictures, frozenset()))

    def make_broken_model(self):
        return ClipFiles(super().make_broken_model(), Files(self.pictures, frozenset()))
