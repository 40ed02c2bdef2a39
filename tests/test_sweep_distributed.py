"""A sweep on engines that spread work over machines: the rows are those of a serial run. Each runs where it is installed.

The code is that of docs/commands/sweep.md, which reads `grid` and `sweep` and leaves `answers`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archcalc import sweep

GRID: dict[str, Any] = {
    "context_tokens": ["4k", "32k", "128k"],
    "gpu": ["4090", "8xh100"],
    "concurrency": [1, 16],
    "kv_dtype": ["bf16", "fp8"],
    "set": {"num_hidden_layers": [16, 32]},
}
SOURCES = ["llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3", "no-such-model"]


def grid() -> list[dict[str, Any]]:
    return list(sweep.rows(SOURCES, **GRID))


@pytest.fixture(scope="module")
def serial() -> list[dict[str, Any]]:
    """The rows as one process computes them: some with figures, some that cannot be."""
    rows = [sweep.run(row) for row in grid()]
    assert len(rows) == 4 * 3 * 2 * 2 * 2 * 2
    assert {row["error"] is None for row in rows} == {True, False}
    assert {row["fits"] for row in rows if row["error"] is None} == {True, False}
    return rows


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    """Two workers on this machine."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield ray
    ray.shutdown()


def test_ray_remote(ray_cluster: Any, serial: list[dict[str, Any]]) -> None:
    assert ray_cluster.is_initialized()
    assert answers("ray.remote") == serial


def test_ray_data(ray_cluster: Any, serial: list[dict[str, Any]]) -> None:
    data = pytest.importorskip("ray.data", reason="ray.data needs ray[data]")
    data.DataContext.get_current().enable_progress_bars = False
    assert in_order(answers("ray.data")) == in_order([sweep.flat(row) for row in serial])


def test_dask(serial: list[dict[str, Any]]) -> None:
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    pytest.importorskip("dask.bag", reason="dask is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        assert answers("dask.bag") == serial


@pytest.mark.skipif(not (shutil.which("java") or os.environ.get("JAVA_HOME")), reason="Spark needs Java, which is not here")
def test_spark(serial: list[dict[str, Any]]) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    spark = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        assert answers("pyspark") == serial
    finally:
        spark.stop()


def answers(engine: str) -> list[dict[str, Any]]:
    """What the one block of the document that names the engine computes."""
    text = (Path(__file__).parent.parent / "docs" / "commands" / "sweep.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if engine in block]
    names: dict[str, Any] = {"grid": grid(), "sweep": sweep}
    exec(code, names)
    return names["answers"]  # type: ignore[no-any-return]


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own, for engines that give none."""
    return sorted(str({name: row[name] for name in sorted(row)}) for row in rows)
