"""The benchmark of an encoder's memory gives a row of what it was given."""

from benchmarks import encoder_memory


def test_a_row_says_what_an_encoder_held():
    settings = encoder_memory.EncoderMemory(videos=130, known=70, given=2)
    (row,) = encoder_memory.run(settings)
    assert (row["videos"], row["known"], row["given"]) == (130, 70, 2)
    assert 0 < row["start_mib"] <= row["encoder_mib"] < 2048
    assert 0 < row["first_seconds"] <= row["seconds"]
