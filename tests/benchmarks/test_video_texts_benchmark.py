from benchmarks import video_texts


def test_a_row_says_what_a_view_takes():
    (row,) = video_texts.run(
        video_texts.VideoTextsCost(model="vifi-tiny", frames=2, classes=5, pairs=2)
    )
    assert (row["bytes_of_frames"], row["bytes_of_cosines"]) == (128, 20)
    assert row["bytes_of_tokens"] == 16 * 64 * 2
    assert row["ratio"] > 0
