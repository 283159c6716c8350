"""The words of a text that tell it from others."""

from __future__ import annotations

import pytest

from embodied_r_ros.core.words import telling_words


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        pytest.param('Where is the TV?', {'tv'}, id='two-letters'),
        pytest.param('the bus, a gas can and my glass', {'bus', 'gas', 'glass'}, id='no-plurals'),
        pytest.param('two red SOFAS', {'red', 'sofa'}, id='case-and-plural'),
        pytest.param('Did I pass it on my left, or not?', set(), id='function-words'),
        pytest.param('turn right 90 degrees, go 3 m, 2.5 meters, 40cm, 12°', set(), id='measures'),
        pytest.param('A, B or 7', set(), id='letters-and-numbers-alone'),
        pytest.param('chair 2', {'chair', 'chair 2'}, id='number-after-a-noun'),
        pytest.param('chair_2, chair #2, Chair-2', {'chair', 'chair 2'}, id='ways-to-write-a-number'),
        pytest.param('gate B', {'gate', 'gate b'}, id='letter-after-a-noun'),
        pytest.param('room A113', {'room', 'a113'}, id='letters-and-digits'),
        pytest.param('a chair, 2 doors', {'chair', 'door'}, id='number-of-the-next-noun'),
        pytest.param('sofa 20 deg left at 3.2 m; bed 4 m away', {'sofa', 'bed'}, id='measure-after-a-noun'),
        pytest.param("the sofa's leg", {'sofa', 'leg'}, id='possessive'),
        pytest.param('ＴＶ', {'tv'}, id='full-width'),
        pytest.param('沙发在哪里?', {'沙发'}, id='chinese'),
        pytest.param('红色沙发', {'红色', '色沙', '沙发'}, id='pairs-of-characters'),
        pytest.param('门在我的左边吗', {'门'}, id='one-character'),
        pytest.param('椅子2', {'椅子', '椅子 2'}, id='chinese-number'),
        pytest.param('कुर्सी', {'कुर्सी'}, id='vowel-signs'),
        pytest.param('', set(), id='empty'),
    ],
)
def test_the_telling_words_of_a_text(text, words):
    assert telling_words(text) == words


PLURALS = """
    axe/axes battery/batteries bench/benches box/boxes bus/buses canvas/canvases class/classes dish/dishes gas/gases
    glass/glasses house/houses key/keys knife/knives lens/lenses movie/movies potato/potatoes shelf/shelves shoe/shoes
    sofa/sofas stove/stoves taxi/taxis tree/trees TV/TVs vase/vases
""".split()


@pytest.mark.parametrize('pair', PLURALS)
def test_singular_and_plural_are_one_word(pair):
    singular, plural = pair.split('/')
    assert telling_words(singular) == telling_words(plural)
    assert len(telling_words(singular)) == 1


def test_the_singulars_are_told_apart():
    singulars = [pair.split('/')[0] for pair in PLURALS]
    assert len(telling_words(', '.join(singulars))) == len(singulars)


@pytest.mark.parametrize(
    ('question', 'text'),
    [
        ('沙发在哪里?', '左边有红色沙发'),
        ('门在哪里?', '前面是白色的门'),
        ('ソファはどこですか', '赤いソファ'),
        ('机はどこですか', '大きな机'),
        ('소파는 어디에 있나요?', '빨간 소파가 있다'),
        ('เก้าอี้อยู่ที่ไหน', 'มีเก้าอี้สีแดง'),
        ('Wo ist die Straße?', 'eine lange STRASSE'),
    ],
    ids=['chinese', 'chinese-one-character', 'japanese', 'japanese-one-character', 'korean', 'thai', 'german'],
)
def test_question_and_text_share_a_word_in_other_languages(question, text):
    assert telling_words(question) & telling_words(text)
