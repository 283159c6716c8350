"""The runner of the benchmarks: it gathers figures, and says by name what failed or was left out."""

import json

import pytest

from benchmarks import consistency
from benchmarks.__main__ import SKIPPED, main

FIGURE = {'ours': 4.4, 'baseline': 30.0, 'ratio': 6.8, 'unit': 'ms', 'spread': [4.2, 4.7]}


@pytest.fixture
def bench(tmp_path, capsys):
    """Run made-up benchmarks: name -> source; returns exit status, printed lines and what was written."""
    folder = tmp_path / 'figures'
    folder.mkdir()
    (folder / '__init__.py').touch()

    def run(sources, *names):
        for name, source in sources.items():
            (folder / f'{name}.py').write_text(source)
        status = main(names, folder=folder, out=tmp_path / 'out/bench.json')
        printed = capsys.readouterr()
        path = tmp_path / 'out/bench.json'
        return status, (printed.out + printed.err).splitlines(), json.loads(path.read_text()) if path.exists() else None

    return run


def saying(figures):
    return f'print("on the way")\nprint({json.dumps(figures)!r})'


@pytest.mark.system
def test_figures_of_all_benchmarks_are_gathered_and_the_last_line_is_the_file(bench, tmp_path):
    status, lines, written = bench({'one': saying({'a': FIGURE}), 'two': saying({'b': FIGURE, 'c': FIGURE})})
    assert (status, lines[-1], set(written)) == (0, str(tmp_path / 'out/bench.json'), {'a', 'b', 'c'})


@pytest.mark.system
def test_a_single_benchmark_leaves_the_other_figures_as_they_were(bench):
    bench({'one': saying({'a': FIGURE}), 'two': saying({'b': FIGURE})})
    # A file of another length: of one as long, changed within the second, Python would run the bytecode it has kept.
    _, _, written = bench({'two': saying({'b': {**FIGURE, 'ours': 5.125}})}, 'two')
    assert (set(written), written['b']['ours']) == ({'a', 'b'}, 5.125)


@pytest.mark.system
@pytest.mark.parametrize(
    ('source', 'status', 'sentence'),
    [
        ('raise SystemExit(3)', 1, "one ... failed with status 3: ''"),
        ('print("not JSON")', 1, "one ... failed with status 0: 'not JSON'"),
        (saying({'a': {'ours': 1}}), 1, 'one ... failed with status 0: \'{"a": {"ours": 1}}\''),
        ('print("no server"); raise SystemExit(77)', 0, 'one ... left out: no server'),
    ],
    ids=['crash', 'not json', 'half a figure', 'cannot run here'],
)
def test_what_gives_no_figure_is_named_and_the_others_run(bench, source, status, sentence):
    ended, lines, written = bench({'one': source, 'two': saying({'b': FIGURE})})
    assert (ended, lines[0], set(written)) == (status, sentence, {'b'})


def test_an_unknown_name_is_refused_with_those_there_are(bench):
    status, lines, _ = bench({'one': saying({'a': FIGURE})}, 'speed')
    assert status == 1
    assert "got ['speed']; there are: one" in lines[0]


def test_judging_over_http_is_left_out_by_name_without_a_server(monkeypatch, capsys):
    monkeypatch.setattr(consistency, 'URL', '')
    assert consistency.main([]) == SKIPPED
    assert capsys.readouterr().out == 'EMBODIED_R_TEST_EMBEDDED_URL names no server of the embedded reasoner\n'
