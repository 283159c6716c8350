"""What is told of an answer while it is thought about."""

from embodied_r_ros.app.stages import Stages


def told_of(*pieces):
    told = []
    stages = Stages(lambda *words: told.append(words))
    stages.begin('think')
    for piece in pieces:
        stages.heard(piece)
    return told


def test_the_first_words_are_told_at_once_and_what_follows_within_a_tenth_of_a_second_is_not():
    assert told_of('<thi', 'nk>', 'Frame', ' 1', ' shows') == [('think', ''), ('think', 'Frame')]


def test_a_tag_that_is_not_whole_yet_is_no_word():
    assert told_of('<', 'think', '> ', '</thi') == [('think', '')]


def test_the_first_words_of_each_stage_are_told():
    told = []
    stages = Stages(lambda *words: told.append(words))
    for stage in ('think', 'think'):
        stages.begin(stage)
        stages.heard('so')
    assert told == [('think', ''), ('think', 'so')] * 2


def test_without_a_listener_stages_are_timed_all_the_same():
    stages = Stages(None)
    stages.begin('think')
    stages.heard('so')
    assert set(stages.finish()) == {'window', 'think'}
