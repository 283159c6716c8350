"""The journal: what was kept is found again by a call with the same settings, and by no other."""

from __future__ import annotations

from training.sources.journal import Journal


def test_results_are_found_by_a_call_with_the_same_settings(tmp_path):
    out = tmp_path / 'new' / 'out.jsonl'
    Journal(out, {'seed': 1}).keep('a', {'share': 0.5})
    again = Journal(out, {'seed': 1})
    again.keep('b', [2])
    assert Journal(out, {'seed': 1}).results == {'a': {'share': 0.5}, 'b': [2]}


def test_other_settings_begin_anew_and_say_so(tmp_path, capsys):
    Journal(tmp_path / 'out.jsonl', {'seed': 1}).keep('a', 1)
    assert Journal(tmp_path / 'out.jsonl', {'seed': 2}).results == {}
    assert 'out.jsonl.journal was begun with other settings; beginning anew' in capsys.readouterr().err
    assert Journal(tmp_path / 'out.jsonl', {'seed': 1}).results == {}


def test_a_line_that_was_cut_off_is_cut_away(tmp_path):
    out = tmp_path / 'out.jsonl'
    journal = Journal(out, {})
    journal.keep('a', 1)
    journal.keep('b', 2)
    (written,) = tmp_path.iterdir()
    written.write_bytes(written.read_bytes()[:-2])
    again = Journal(out, {})
    assert again.results == {'a': 1}
    again.keep('b', 3)
    assert Journal(out, {}).results == {'a': 1, 'b': 3}


def test_nothing_is_left_when_all_is_done(tmp_path):
    journal = Journal(tmp_path / 'out.jsonl', {})
    journal.keep('a', 1)
    journal.done()
    assert list(tmp_path.iterdir()) == []
