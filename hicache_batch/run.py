"""One batch: every worker takes rows until none is left, and what becomes of them goes into the folder."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from .bindings import Bindings, Wanted
from .client import Client, PromptRefused
from .engine import Engine
from .errors import Refusal, RowFailed, WorkerLost
from .ledger import Attempt, Ledger
from .manifest import Manifest, Record, request_digest
from .outputs import Saved, file_name, save
from .rows import Row
from .workflow import Workflow

LONGEST_ERROR = 500  # characters of a sentence in the manifest
FAILURES = 3  # rows in a row, until a worker's ComfyUI itself is suspected
MORE_LOSSES = 2  # in a row, beyond the tries of one row: so that a row that ends every server is given up first


class Listener(Protocol):
    """Who is told what happens."""

    def checked(self, bindings: Bindings, skipped: int, workers: int) -> None: ...
    def recorded(self, record: Record) -> None: ...
    def say(self, sentence: str) -> None: ...


@dataclass(frozen=True)
class Batch:
    """What to do; tries: how often a row is sent before it is given up."""

    workflow: Workflow
    rows: Sequence[Row]
    wanted: Wanted
    folder: Path
    tries: int = 3


@dataclass(frozen=True)
class Plan:
    """What was checked with the first server that came up, before anything is sampled or written."""

    bindings: Bindings
    manifest: Manifest
    ledger: Ledger


async def check(batch: Batch, engine: Engine, listener: Listener) -> None:
    """All that a run would refuse, and nothing more: one worker is brought up, nothing is sampled or written."""
    async with engine:
        run = _Run(batch, engine, listener)
        try:
            async with Client(await run.bring_up(engine.names[0])) as client:
                await run.plan(client)
        except WorkerLost as error:
            raise Refusal(f"No worker came up; {error}") from error


async def run_batch(batch: Batch, engine: Engine, listener: Listener) -> None:
    """Raises Refusal before anything is written, OutputError if the folder takes nothing more.

    Cancelled, it takes running rows back and keeps every finished one.
    """
    async with engine:
        run = _Run(batch, engine, listener)
        try:
            await _until_ended(run, [asyncio.ensure_future(run.work(name)) for name in engine.names])
        finally:
            run.finish()


async def _until_ended(run: "_Run", workers: list[asyncio.Future[None]]) -> None:
    """Whatever a worker still waits for is of no use once the last row has ended."""
    ended = asyncio.ensure_future(run.ended())
    try:
        pending = {*workers, ended}
        while not ended.done() and pending - {ended}:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        await run.give_up_the_rest()
    finally:
        for task in (*workers, ended):
            task.cancel()
        await asyncio.gather(*workers, ended, return_exceptions=True)


class _Run:
    def __init__(self, batch: Batch, engine: Engine, listener: Listener) -> None:
        self._batch, self._engine, self._listener = batch, engine, listener
        self._plan: Plan | None = None
        self._planning, self._planned = asyncio.Lock(), asyncio.Event()
        self._losses: list[str] = []

    async def ended(self) -> None:
        await self._planned.wait()
        assert self._plan is not None
        await self._plan.ledger.ended.wait()

    async def plan(self, client: Client) -> Plan:
        """By whoever comes first."""
        async with self._planning:
            if self._plan is None:
                self._plan = await self._make_plan(client)
                self._planned.set()
            return self._plan

    async def _make_plan(self, client: Client) -> Plan:
        info, batch = await client.object_info(), self._batch
        columns = list(dict.fromkeys(name for row in batch.rows for name in row.columns))
        bindings = Bindings(batch.workflow.prompt(info), info, columns, batch.wanted)
        manifest = Manifest(batch.folder)
        requests = {row.index: request_digest(bindings.apply(row)) for row in batch.rows}
        missing = [row for row in batch.rows if not manifest.done(row.index, requests[row.index])]
        self._listener.checked(bindings, len(batch.rows) - len(missing), len(self._engine.names))
        return Plan(bindings, manifest, Ledger(missing, batch.tries))

    async def bring_up(self, name: str) -> str:
        url = await self._engine.bring_up(name)
        self._listener.say(f"{self._engine.where(name)} is ready.")
        return url

    async def work(self, name: str) -> None:
        """Takes rows until none is left, or until this worker has been lost too often without having finished one."""
        lost, failed = 0, set()
        while lost < self._batch.tries + MORE_LOSSES:
            try:
                async with Client(await self.bring_up(name)) as client:
                    plan = await self.plan(client)
                    while attempt := await plan.ledger.take(name):
                        sound, lost = await self._try(plan, client, name, attempt), 0
                        if sound:
                            failed.clear()
                        elif self._is_suspect(plan, failed, attempt.row.index):
                            raise WorkerLost(f"{FAILURES} rows in a row failed on it")
                return
            except WorkerLost as error:
                lost += 1
                self._losses.append(f"{name} is lost: {error}")
                self._listener.say(self._losses[-1])
                if self._plan is not None:
                    await self._plan.ledger.retire(name)
                await asyncio.sleep(2**lost)  # a cluster needs a while until it knows that a machine is gone
        self._listener.say(f"{name} is given up after {lost} losses.")

    def _is_suspect(self, plan: Plan, failed: set[int], row: int) -> bool:
        """Whether a ComfyUI may be broken, because every row fails on it; once, until one does not."""
        new = row not in failed
        failed.add(row)
        return new and len(failed) == FAILURES and self._engine.starts and not plan.ledger.ended.is_set()

    async def _try(self, plan: Plan, client: Client, name: str, attempt: Attempt) -> bool:
        """Whether the ComfyUI is sound: it made the row, or had a reason to refuse it."""
        record = _Writer(self._batch.folder, plan.bindings, attempt, name)
        try:
            self._keep(plan, await record.made_by(client))
            await plan.ledger.done()
            return True
        except RowFailed as error:
            await self._fail(plan, attempt, name, str(error), record)
            return isinstance(error, PromptRefused)
        except WorkerLost as error:
            await self._fail(plan, attempt, name, f"{name} was lost: {error}", record)
            raise

    async def _fail(self, plan: Plan, attempt: Attempt, name: str, why: str, record: "_Writer") -> None:
        if await plan.ledger.failed(attempt, name, why):
            self._keep(plan, record.failed(why))
        else:
            self._listener.say(f"Row {attempt.row.index} failed on {name} and is tried again: {why}")

    def _keep(self, plan: Plan, record: Record) -> None:
        plan.manifest.add(record)
        self._listener.recorded(record)

    async def give_up_the_rest(self) -> None:
        """Rows that no worker is left for."""
        why = self._losses[-1] if self._losses else "no worker"
        if self._plan is None:
            raise Refusal(f"No worker came up; {why}")
        for attempt in self._plan.ledger.left():
            record = _Writer(self._batch.folder, self._plan.bindings, attempt, "")
            self._keep(self._plan, record.failed(f"No worker is left; {why}"))

    def finish(self) -> None:
        if self._plan is not None and self._plan.manifest.records:
            self._plan.manifest.finish()


class _Writer:
    """One row on one worker, to the files and the record of it."""

    def __init__(self, folder: Path, bindings: Bindings, attempt: Attempt, worker: str) -> None:
        self._folder, self._row = folder, attempt.row
        self._prompt = bindings.apply(attempt.row)
        self._about = {
            "row": attempt.row.index,
            "seed": bindings.seed_of(attempt.row) if bindings.has_seed else None,
            "worker": worker,
            "request": request_digest(self._prompt),
            "tries": attempt.tries,
        }

    async def made_by(self, client: Client) -> Record:
        """Raises RowFailed, WorkerLost or OutputError."""
        reports: list[dict[str, Any]] = []
        watch = _Watch(reports.append)
        entry = await client.run(self._prompt, watch)
        files = [file for output in in_order(entry["outputs"], self._prompt) for file in _files(output)]
        if not files:
            raise RowFailed("The workflow saved no file: add a Save Image node, or another that saves.")
        saved = await self._save_all(client, files)
        return Record(**self._about, files=tuple(saved), seconds=watch.seconds, **_totals(reports))

    async def _save_all(self, client: Client, files: list[dict[str, str]]) -> list[Saved]:
        """All of them or none."""
        saved: list[Saved] = []
        try:
            for number, file in enumerate(files):
                saved.append(await self._save(client, number, file))
        except BaseException:
            for one in saved:
                (self._folder / one.file).unlink(missing_ok=True)
            raise
        return saved

    async def _save(self, client: Client, number: int, file: dict[str, str]) -> Saved:
        name = file_name(self._row.index, number, PurePosixPath(file["filename"]).suffix)
        return await save(self._folder, name, client.fetch(file))

    def failed(self, why: str) -> Record:
        return Record(**self._about, error=" ".join(why.split())[:LONGEST_ERROR])


class _Watch:
    """The seconds from a prompt's start to now, and what HiCache reports of its runs."""

    def __init__(self, take: Callable[[dict[str, Any]], Any]) -> None:
        self._take, self._started = take, time.monotonic()

    def __call__(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "execution_start":
            self._started = time.monotonic()
        if kind == "hicache.ended":
            self._take(event["report"])

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)


def _totals(reports: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("calls", "forecasts", "seconds_saved") if reports else ()
    return {name: round(sum(report[name] for report in reports), 3) for name in names}


def in_order(outputs: dict[str, Any], prompt: dict[str, Any]) -> list[Any]:
    """As their nodes stand in the prompt: the server lists them as they ran, which is another order every time."""
    places = {key: place for place, key in enumerate(prompt)}
    return [outputs[key] for key in sorted(outputs, key=lambda key: (places.get(key, len(places)), key))]


def _files(output: dict[str, Any]) -> list[dict[str, str]]:
    """What a node has saved, under whatever name it lists it; previews are not kept."""
    listed = [file for files in output.values() if isinstance(files, list) for file in files]
    named = [file for file in listed if isinstance(file, dict) and file.get("type") == "output" and "filename" in file]
    return [{key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")} for file in named]
