"""Every snippet of docs/embedding.md is run: those in Python here, one after the other as they stand on the page; the
one in C is examples/style.c, which bindings/c/tests/run.sh compiles and runs."""

import re

import numpy as np
from conftest import ROOT
from PIL import Image

import pixgrad


def test_every_snippet_of_the_page_runs(tmp_path, monkeypatch, content, painting):
    page = (ROOT / "docs" / "embedding.md").read_text()
    snippets = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.M | re.S)
    assert {language for language, _ in snippets} == {"python", "c"}
    assert len(snippets) == page.count("\n```") / 2 >= 9

    Image.open(content).convert("RGB").resize((120, 80)).save(tmp_path / "photo.png")
    Image.open(painting).convert("RGB").save(tmp_path / "painting.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pixgrad._engine, "_opened", {None: pixgrad.Device("cpu")})
    names: dict = {}
    for language, text in snippets:
        if language == "c":
            assert text == (ROOT / "bindings" / "c" / "examples" / "style.c").read_text()
            continue
        exec(compile(text, "docs/embedding.md", "exec"), names)
    assert (tmp_path / "painted.png").is_file()
    assert names["run"].done == 6 and np.isfinite(names["found"].loss)
