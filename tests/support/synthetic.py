"""Results that nobody computed, for the tests of tables and figures."""

from zoo_leaderboard.fingerprint import digest
from zoo_leaderboard.result import (
    Cell,
    Evaluation,
    Failure,
    Ingredients,
    Protocol,
    ReferenceScores,
    Result,
    Times,
)

REFERENCE = ReferenceScores(min=0.0, max=200.0, source="made up")


def synthetic(
    algorithm,
    dataset,
    seed,
    scores=(0.0, 50.0),
    *,
    track="demo",
    variant="default",
    settings=None,
    failure=None,
    reference=REFERENCE,
    external=False,
    sources=None,
    finished_at="2026-01-01T00:00:00+00:00",
    training=(),
):
    """A result with these headline scores, evenly spaced over 100 steps."""
    ingredients = Ingredients(
        sources=sources or {"plugin": "0"},
        semantics=1,
        config={"steps": 100, **(settings or {})},
        dataset=dataset,
        dataset_digest="d",
        environment="e",
        protocol=Protocol(episodes=2),
        seed=seed,
    )
    name = f"{algorithm}{variant}{track}"
    cell = {"algorithm": algorithm, "variant": variant, "settings": settings or {}}
    evaluations = tuple(
        Evaluation(
            step=round(100 * i / max(1, len(scores) - 1)),
            act="act",
            returns=(2.0 * score - 1.0, 2.0 * score + 1.0),
            lengths=(5, 7),
        )
        for i, score in enumerate(scores)
    )
    score = None if failure else (scores[-1] if reference else 2.0 * scores[-1])
    return Result(
        key=digest([name, ingredients.model_dump()]),
        track=track,
        cell=Cell(**cell, dataset=dataset, seed=seed),
        status="failed" if failure else "finished",
        ingredients=ingredients,
        total_steps=100,
        act="act",
        external=external,
        evaluations=() if failure else evaluations,
        training=training,
        reference=reference,
        score=score,
        failure=Failure(kind="error", reason=failure) if failure else None,
        times=Times(finished_at=finished_at),
    )
