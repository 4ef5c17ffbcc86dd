from benchmarks.kernel_work import Call, work

CALL = Call(rows=100, classes=30, dim=64, item_bytes=2)
TILES = {"BLOCK_ROWS": 64, "BLOCK_CLASSES": 32, "BLOCK_DIM": 32, "TEXT_TERMS": 1}


def test_logits_are_counted_in_whole_tiles():
    done = work("frame_softmax_forward", CALL, TILES | {"GRADIENT_TERMS": 2})
    assert CALL.product == 2 * 100 * 30 * 64
    # Two tiles of rows, one of classes.
    assert done["logit_operations"] == 2 * 128 * 32 * 64
    assert done["gradient_operations"] == 0
    assert done["loaded_bytes"] == 2 * (64 + 32) * 64 * 2


def test_slices_make_logits_anew_and_terms_add_products():
    tiles = TILES | {"BLOCK_OUT": 32, "GRADIENT_TERMS": 2, "TEXT_TERMS": 2}
    done = work("frames_backward", CALL, tiles)
    assert done["logit_operations"] == 2 * (2 * 128 * 32 * 64) * 2
    # Both terms of a gradient with the higher of the text, and the higher one with the lower.
    assert done["gradient_operations"] == 2 * (2 * 128 * 32 * 32) * 3
    text = work("text_backward", CALL, tiles)
    assert text["gradient_operations"] == 2 * (2 * 128 * 32 * 32) * 2
    assert text["loaded_bytes"] == 2 * 2 * ((64 + 2 * 32) * 64 + 64 * 32) * 2
