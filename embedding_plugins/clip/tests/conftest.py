"""A CLIP of two layers and random weights, saved as the sentence-transformers models on the hub are, and pictures."""

from __future__ import annotations

import io
import json

import pytest

SIDE = 32  # pixels that the tiny model sees each way
DIMENSIONS = 16


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """The folder of the tiny model: the library's own code reads it, as it would read a downloaded one."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("clip")
    module = folder / "0_CLIPModel"
    letters = bytes_to_unicode().values()
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    layers = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"vocab_size": len(words), "bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**layers, **text, "max_position_embeddings": 77},
        vision_config={**layers, "image_size": SIDE, "patch_size": 8},
        projection_dim=DIMENSIONS,
    )
    CLIPModel(config).save_pretrained(module)
    CLIPTokenizer({word: n for n, word in enumerate(words)}, [], model_max_length=77).save_pretrained(module)
    size, crop = {"shortest_edge": SIDE}, {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size=size, crop_size=crop).save_pretrained(module)
    modules = [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


@pytest.fixture(scope="session")
def clip(clip_folder):
    """The tiny model, loaded."""
    from datasette_embed_sentence_transformers import Settings

    from datasette_embed_clip import CLIP, Clip

    model = Clip(CLIP, Settings(path=str(clip_folder), device="cpu"))
    model.embed("warm")
    return model


@pytest.fixture(scope="session")
def picture():
    """picture(number=0, size=(60, 40), mode="RGB", format="PNG", **options): the bytes of a picture, ever the same."""
    import numpy as np
    from PIL import Image

    def make(number=0, size=(60, 40), mode="RGB", format="PNG", **options):
        pixels = np.random.default_rng(number).integers(0, 256, (3, 3, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).convert(mode)
        output = io.BytesIO()
        image.save(output, format, **options)
        return output.getvalue()

    return make
