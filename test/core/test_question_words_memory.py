"""What is remembered of words is bounded in bytes, whatever is asked."""

import gc
import tracemalloc

from embodied_r_ros.core.question_words import bare_name, direction_word


def test_long_texts_are_not_remembered():
    tracemalloc.start()
    try:
        for number in range(2000):
            bare_name(f'the lamp {number} ' + 'x' * 15_000)
            direction_word(f'left {number} ' + 'x' * 15_000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
