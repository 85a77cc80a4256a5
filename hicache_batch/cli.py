"""The command line: what is asked for, an engine for it, and the exit code."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .bindings import LARGEST_SEED, Wanted
from .cluster import RayEngine
from .comfyui import default_launch
from .engine import Engine
from .errors import Refusal
from .outputs import OutputError, opened_folder
from .progress import Progress
from .rows import read_rows
from .run import Batch, check, run_batch
from .servers import Servers
from .workflow import read_workflow

DONE, ROWS_FAILED, REFUSED, STOPPED, TERMINATED = 0, 1, 2, 130, 143
DESCRIPTION = (
    "Runs every row of a prompt file through a ComfyUI workflow, over many GPUs and machines. See docs/batch.md."
)
EPILOG = (
    "exit code: 0 all rows are there, 1 some failed (the manifest says why) or the folder took no more, "
    "2 refused before anything was written, 130 after Ctrl-C, 143 after SIGTERM"
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m hicache_batch", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument(
        "--workflow", type=Path, required=True, metavar="FILE", help="saved in ComfyUI, or its API format"
    )
    made.add_argument(
        "--prompts", type=Path, required=True, metavar="FILE", help=".txt, .csv or .jsonl, a row a picture"
    )
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="where files and manifest.jsonl go")
    _add_bindings(made.add_argument_group("what goes where"))
    _add_engines(made.add_argument_group("where it runs"))
    made.add_argument("--resume", action="store_true", help="go on with the batch in --out: make what is not there")
    made.add_argument("--dry-run", action="store_true", help="check all of it with one ComfyUI, make nothing")
    made.add_argument("--tries", type=_count, default=3, metavar="N", help="of a row before it is given up (default 3)")
    return made


def _add_bindings(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--set",
        action="append",
        type=_setting,
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="NODE is a title or an id; {column}, {seed} and {row} stand for the row's own",
    )
    group.add_argument("--seed", type=_seed, metavar="BASE", help="a row's seed is BASE + its number (default 0)")


def _add_engines(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--server", action="append", default=[], metavar="URL", help="a running ComfyUI; may be repeated"
    )
    group.add_argument("--gpus", type=_gpus, metavar="0,1", help="GPUs of this machine (default: all)")
    group.add_argument("--workers", type=_count, metavar="N", help="how many ComfyUIs (default: one a GPU)")
    group.add_argument("--address", metavar="auto|ray://HOST:PORT", help="a Ray cluster")
    group.add_argument("--comfyui", metavar="PATH", help="the ComfyUI to start, by its path where it runs")
    group.add_argument("--python", metavar="PATH", help="the Python that runs it (default: the one that runs this)")
    group.add_argument("--base", metavar="DIR", help="its --base-directory: models, custom_nodes, input")
    group.add_argument(
        "--arg", action="append", default=[], metavar="ARG", help="passed on: --arg=--lowvram; may be repeated"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1")
    return int(text)


def _gpus(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to 2^64 - 1")
    return int(text)


def _setting(text: str) -> tuple[str, str]:
    target, equals, template = text.partition("=")
    if not equals or "." not in target:
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE.INPUT=VALUE")
    return target.strip(), template


def main(argv: Sequence[str]) -> int:
    """The exit code."""
    args = parser().parse_args(argv)
    try:
        return asyncio.run(_stoppable(args))
    except (Refusal, OutputError) as error:
        print(error, file=sys.stderr)
        return REFUSED if isinstance(error, Refusal) else ROWS_FAILED
    except KeyboardInterrupt:
        return STOPPED


async def _stoppable(args: argparse.Namespace) -> int:
    """SIGINT and SIGTERM cancel the batch, which keeps what is finished; a second one changes nothing."""
    task, codes = asyncio.ensure_future(_run(args)), []

    def stop(code: int) -> None:
        codes.append(code)
        task.cancel()

    for number, code in ((signal.SIGINT, STOPPED), (signal.SIGTERM, TERMINATED)):
        with suppress(NotImplementedError):  # Windows, where Ctrl-C cancels all the same
            asyncio.get_running_loop().add_signal_handler(number, lambda code=code: codes or stop(code))
    try:
        return await task
    except asyncio.CancelledError:
        if not codes:
            raise
        print("Stopped. Finished rows are kept: the same command with --resume goes on.", file=sys.stderr)
        return codes[0]


def allow_many_files() -> None:
    """A thousand workers take more connections than most shells allow at first. Windows has no such limit."""
    with suppress(ImportError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(args: argparse.Namespace) -> int:
    allow_many_files()
    workflow, rows = read_workflow(args.workflow), read_rows(args.prompts)
    wanted, engine = Wanted(args.set, args.seed), engine_for(args)
    with opened_folder(args.out, args.resume or args.dry_run) as folder:
        batch = Batch(workflow, rows, wanted, folder, args.tries)
        return await (_check if args.dry_run else _make)(batch, engine)


async def _check(batch: Batch, engine: Engine) -> int:
    progress = Progress(len(batch.rows), batch.folder)
    await check(batch, engine, progress)
    progress.say(f"{len(batch.rows) - progress.skipped} rows to make on {progress.workers} workers; nothing was made.")
    return DONE


async def _make(batch: Batch, engine: Engine) -> int:
    progress = Progress(len(batch.rows), batch.folder)
    try:
        await run_batch(batch, engine, progress)
    finally:
        progress.close()
    progress.say(progress.summary())
    return ROWS_FAILED if progress.failed else DONE


def engine_for(args: argparse.Namespace) -> Engine:
    """Raises Refusal for choices that exclude each other."""
    starting = {"--gpus": args.gpus, "--workers": args.workers, "--address": args.address, "--comfyui": args.comfyui}
    starting |= {"--base": args.base, "--python": args.python, "--arg": args.arg}
    if not args.server:
        return _starting(args)
    for name, value in starting.items():
        if value:
            raise Refusal(f"--server uses what is running and {name} starts something: leave out one of the two.")
    return Servers(args.server)


def _starting(args: argparse.Namespace) -> Engine:
    found = default_launch(args.comfyui, args.base, args.python, tuple(args.arg), elsewhere=args.address is not None)
    return RayEngine(found, args.workers, args.gpus, args.address)
