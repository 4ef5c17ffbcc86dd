"""Retrieval of videos that have captions and no labels, by the command."""

import numpy as np

from tests.harness.conftest import planted_store
from vifi.__main__ import run
from vifistore.store.dataset import write_captions


def test_all_captions_are_asked_where_no_video_has_a_label(tmp_path, capsys):
    maker = planted_store(tmp_path, num_videos=6, num_classes=1, unlabelled=range(6))
    frames = maker.frames(noise=0.2)
    maker.features(frames)
    backend = maker.store.backend
    attributes = backend.attributes("videos/toy")
    digests = {name: of for name, of in attributes["digests"].items() if name != "class_names"}
    backend.make_group("videos/toy", {**attributes, "class_names": [], "digests": digests})
    captions = [f"caption {row}" for row in range(6)]
    write_captions(maker.store.dataset("toy"), list(enumerate(captions)))
    fields = {"text_digest": "text of tiny", "logit_scale": 20.0, "class_names": captions}
    fields |= {"templates": ["{}"], "context_length": 12, "precision": "fp32"}
    maker.store.add_texts(fields, frames.astype(np.float32).mean(axis=2))
    command = ["evaluate", str(maker.store.path), "retrieval", "--dataset", "toy"]
    assert run([*command, "--features", "tiny", "--split", "all"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert "t2v_recall_at_1 100.0 [54.1, 100.0] (6 videos, 6 captions)" in first
    assert run([*command, "--features", "tiny", "--split", "al"]) == 2
