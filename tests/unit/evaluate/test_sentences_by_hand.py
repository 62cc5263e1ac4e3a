from scalebed.evaluate.suites.pool import sentences_of


def test_a_sentence_of_more_than_a_thousand_characters_is_passed_over():
    # Nine words of 110 characters with eight blanks, a further character and the full stop.
    fits = " ".join(["W" + 109 * "o", *["w" * 110] * 8]) + "s."
    longer = fits[:-1] + "s."
    assert (len(fits), len(longer)) == (1000, 1001)
    found = sentences_of([f"{fits}\n{longer}"], context_chars=0)
    assert [sentence.text for sentence in found] == [fits]
