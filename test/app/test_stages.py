"""What is told of an answer while it is thought about."""

from fake_time import FakeClock

from embodied_r_ros.app.stages import MAX_TOLD_CHARS, Stages


def told_of(*pieces):
    told = []
    stages = Stages(lambda *words: told.append(words), FakeClock())
    stages.begin('think')
    for piece in pieces:
        stages.heard(piece)
    return told


def test_the_first_words_are_told_at_once_and_what_follows_within_a_tenth_of_a_second_is_not():
    assert told_of('<thi', 'nk>', 'Frame', ' 1', ' shows') == [('think', ''), ('think', 'Frame')]


def test_what_follows_later_is_told_with_all_that_went_before():
    told, clock = [], FakeClock()
    stages = Stages(lambda *words: told.append(words), clock)
    stages.begin('think')
    for piece in ('Frame', ' 1', ' shows'):
        stages.heard(piece)
        clock.now_s += 0.06
    assert told == [('think', ''), ('think', 'Frame'), ('think', 'Frame 1 shows')]


def test_a_stage_entered_twice_counts_both_times():
    clock = FakeClock()
    stages = Stages(None, clock)
    for stage, span_s in (('think', 1.0), ('focus', 2.0), ('think', 4.0)):
        stages.begin(stage)
        clock.now_s += span_s
    assert stages.finish() == {'window': 0.0, 'think': 5.0, 'focus': 2.0}
    assert stages.total_s == 7.0


def test_the_answer_is_not_told_and_what_is_told_is_clean():
    told, clock = [], FakeClock()
    stages = Stages(lambda *words: told.append(words), clock)
    stages.begin('think')
    for piece in ('<think>a < b\x00', ' <|im_e', 'nd|>', 'so</think><ans', 'wer>B', '</answer> and on'):
        stages.heard(piece)
        clock.now_s += 1.0
    assert told[-1] == ('think', 'a < b  so')


def test_of_long_thinking_the_end_is_told():
    told, clock = [], FakeClock()
    stages = Stages(lambda *words: told.append(words), clock)
    stages.begin('think')
    for number in range(20_000):
        stages.heard(f'word{number} ')
    clock.now_s += 1.0
    stages.heard('end')
    assert len(told[-1][1]) <= MAX_TOLD_CHARS and told[-1][1].endswith('word19999 end')


def test_a_tag_that_is_not_whole_yet_is_no_word():
    assert told_of('<', 'think', '> ', '</thi') == [('think', '')]


def test_the_first_words_of_each_stage_are_told():
    told = []
    stages = Stages(lambda *words: told.append(words), FakeClock())
    for stage in ('think', 'think'):
        stages.begin(stage)
        stages.heard('so')
    assert told == [('think', ''), ('think', 'so')] * 2


def test_without_a_listener_stages_are_timed_all_the_same():
    stages = Stages(None, FakeClock())
    stages.begin('think')
    stages.heard('so')
    assert set(stages.finish()) == {'window', 'think'}
