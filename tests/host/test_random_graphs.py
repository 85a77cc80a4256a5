"""Graphs drawn by chance: no crash, no leak, no value that is not finite; speed 1 changes nothing, bit for bit."""

import itertools

import pytest
from compositions import random_graphs
from compositions.laws import Broken
from compositions.random_graphs import draw, hold_the_laws

FEW, MANY = 24, 200


def test_random_graphs(request):
    """Those that the host itself cannot run are drawn again."""
    wanted, ran, refused = MANY if request.config.getoption("--long") else FEW, 0, []
    for seed in itertools.count():
        graph = draw(seed)
        try:
            reason = hold_the_laws(graph)
        except Exception as error:
            pytest.fail(f"graph {graph}: {type(error).__name__}: {error}")
        ran += not reason
        refused += [reason] * bool(reason)
        if ran == wanted:
            break
    assert len(refused) < ran, f"{len(refused)} could not be built or run without HiCache either"


def test_a_graph_is_its_seed():
    assert str(draw(5)) == str(draw(5))
    assert str(draw(5)) != str(draw(6))


# That the laws fire.


@pytest.fixture
def graph():
    return next(g for g in map(draw, itertools.count()) if not hold_the_laws(g))


def test_a_leak_is_seen(graph, monkeypatch):
    kept, observe = [], random_graphs.observe

    def leak(*args, **kwargs):
        seen = observe(*args, **kwargs)
        kept.append(seen.latent)
        return seen

    monkeypatch.setattr(random_graphs, "observe", leak)
    with pytest.raises(Broken, match="bytes alive"):
        hold_the_laws(graph)


def test_a_change_at_speed_one_is_seen(graph, monkeypatch):
    observe = random_graphs.observe
    monkeypatch.setattr(
        random_graphs, "observe", lambda workflow, *settings: _shifted(observe(workflow, *settings), bool(settings))
    )
    with pytest.raises(Broken, match="speed 1 changes nothing"):
        hold_the_laws(graph)


def _shifted(seen, by):
    seen.latent = seen.latent + float(by)
    return seen
