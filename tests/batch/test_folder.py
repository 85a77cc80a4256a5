"""The folder of a batch and its manifest."""

import asyncio
import json
from pathlib import Path

import pytest

from hicache_batch.errors import Refusal
from hicache_batch.manifest import Manifest, Record, request_digest, sha256_of
from hicache_batch.outputs import OutputError, Saved, file_name, opened_folder, save


def content(folder):
    return sorted(path.name for path in folder.iterdir())


async def chunks(*parts, error=None):
    for part in parts:
        yield part
    if error is not None:
        raise error


def test_names_sort_by_row_and_number():
    names = [file_name(row, number, ".png") for row in (2, 10, 999_999) for number in (0, 11)]
    assert names[0] == "000002_00.png"
    assert names == sorted(names)


def test_a_file_has_its_name_when_it_is_whole(tmp_path):
    saved = asyncio.run(save(tmp_path, "a.png", chunks(b"12", b"3")))
    assert (tmp_path / "a.png").read_bytes() == b"123"
    assert saved == Saved("a.png", sha256_of(tmp_path / "a.png"))
    assert content(tmp_path) == ["a.png"]


def test_a_file_that_breaks_off_leaves_nothing(tmp_path):
    with pytest.raises(KeyError):
        asyncio.run(save(tmp_path, "a.png", chunks(b"12", error=KeyError())))
    assert content(tmp_path) == []


def test_a_folder_that_takes_nothing_says_so(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match=r"Cannot write .*a\.png \(Is a directory\): make room, then --resume"):
        asyncio.run(save(tmp_path, "a.png", chunks(b"12")))
    assert content(tmp_path) == ["a.png"]


def test_what_a_refusal_leaves_empty_is_taken_away(tmp_path):
    with opened_folder(tmp_path / "a" / "b", resume=False) as folder:
        assert folder.is_dir()
    assert content(tmp_path) == []


def test_what_was_there_or_is_used_stays(tmp_path):
    with opened_folder(tmp_path / "a" / "b", resume=False) as folder:
        (folder / "x").touch()
    (tmp_path / "c").mkdir()
    with opened_folder(tmp_path / "c", resume=False):
        pass
    assert content(tmp_path) == ["a", "c"]
    assert content(tmp_path / "a" / "b") == ["x"]


def test_one_batch_at_a_time(tmp_path):
    with opened_folder(tmp_path, resume=False), pytest.raises(Refusal, match="Another batch is writing to"):
        with opened_folder(tmp_path, resume=True):
            pass


def test_a_batch_is_not_overwritten(tmp_path):
    (tmp_path / "manifest.jsonl").touch()
    with pytest.raises(Refusal, match="already holds a batch: add --resume"), opened_folder(tmp_path, resume=False):
        pass
    with opened_folder(tmp_path, resume=True):
        pass


def test_the_lock_is_taken_away_while_it_still_locks(tmp_path, monkeypatch):
    unlink, seen = Path.unlink, []

    def watched(file, **how):
        with pytest.raises(Refusal, match="Another batch is writing to"), opened_folder(tmp_path, resume=True):
            pass
        seen.append(file.name)
        unlink(file, **how)

    with opened_folder(tmp_path, resume=False):
        monkeypatch.setattr(Path, "unlink", watched)
    assert (seen, content(tmp_path)) == ([".lock"], [])


def test_a_lock_that_cannot_be_taken_away_locks_no_more(tmp_path, monkeypatch):
    def denied(file, **how):
        raise PermissionError(13, "Permission denied")

    with opened_folder(tmp_path, resume=False):
        monkeypatch.setattr(Path, "unlink", denied)
    monkeypatch.undo()
    with opened_folder(tmp_path, resume=False):
        pass
    assert content(tmp_path) == []


def test_a_folder_that_cannot_be_looked_at_is_refused(tmp_path):
    sentence = r"Cannot write to .* \(File name too long\): choose another --out"
    with pytest.raises(Refusal, match=sentence), opened_folder(tmp_path / ("x" * 300), resume=False):
        pass


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match=r"Cannot write to .*file/out \(Not a directory\): choose another --out"):
        with opened_folder(tmp_path / "file" / "out", resume=False):
            pass


@pytest.fixture
def records(tmp_path):
    """Of rows 2 and 0, whose files are there."""
    found = []
    for row in (2, 0):
        saved = asyncio.run(save(tmp_path, file_name(row, 0, ".png"), chunks(bytes([row]))))
        found.append(Record(row, 7 + row, "worker-0", "digest", (saved,), 10, 10, 1.5, 0.5))
    return found


def test_a_manifest_is_read_as_it_was_written(tmp_path, records):
    manifest = Manifest(tmp_path)
    for record in records:
        manifest.add(record)
    assert Manifest(tmp_path).records == {record.row: record for record in records}


@pytest.fixture
def full(tmp_path):
    """``full(size)``: no file grows beyond it, as on a disk without room."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def at(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield at
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_has_no_room_is_told(tmp_path, records, full):
    first, second = records
    manifest = Manifest(tmp_path)
    manifest.add(first)
    full((tmp_path / "manifest.jsonl").stat().st_size + 10)
    with pytest.raises(OutputError, match=r"Cannot write .*manifest\.jsonl \(No space left on device\): make room"):
        manifest.add(second)
    assert Manifest(tmp_path).records == {first.row: first}


def test_the_manifest_is_sorted_at_last(tmp_path, records):
    manifest = Manifest(tmp_path)
    for record in records:
        manifest.add(record)
    rows = lambda: [json.loads(line)["row"] for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]  # noqa: E731
    assert rows() == [2, 0]
    manifest.finish()
    assert rows() == [0, 2]


@pytest.mark.parametrize("torn", [b'{"row": 1, "se', b"\xff\xfe\n", b"[]\n", b'{"row": 1}\n', b"{}"])
def test_a_torn_line_swallows_no_other(tmp_path, records, torn):
    first, second = records
    Manifest(tmp_path).add(first)
    with (tmp_path / "manifest.jsonl").open("ab") as file:
        file.write(torn)
    manifest = Manifest(tmp_path)
    assert manifest.records == {first.row: first}
    manifest.add(second)
    assert Manifest(tmp_path).records == {record.row: record for record in records}


def test_a_row_is_done_while_its_files_are_what_they_were(tmp_path, records):
    manifest = Manifest(tmp_path)
    for record in records:
        manifest.add(record)
    assert manifest.done(0, "digest")
    assert not manifest.done(0, "another request")
    assert not manifest.done(1, "digest")
    (tmp_path / "000000_00.png").write_bytes(b"corrupt")
    (tmp_path / "000002_00.png").unlink()
    assert not manifest.done(0, "digest")
    assert not manifest.done(2, "digest")


def test_a_failed_row_is_not_done(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.add(Record(0, 7, "worker-0", "digest", error="no"))
    assert not manifest.done(0, "digest")


def test_files_that_a_row_has_no_more_are_removed(tmp_path):
    for name in ("000003_00.png", "000003_01.png", "000003_02.webp", "000004_00.png", "notes.txt"):
        (tmp_path / name).touch()
    manifest = Manifest(tmp_path)
    manifest.add(Record(3, 7, "w", "d", tuple(Saved(file.name, "") for file in sorted(tmp_path.glob("*")))))
    manifest.add(Record(3, 7, "w", "d", (Saved("000003_00.png", ""),)))
    assert content(tmp_path) == ["000003_00.png", "000004_00.png", "manifest.jsonl", "notes.txt"]
    manifest.add(Record(3, 7, "w", "d", error="no"))
    assert content(tmp_path) == ["000004_00.png", "manifest.jsonl", "notes.txt"]


def test_a_request_is_known_by_its_content():
    prompt = {"1": {"class_type": "A", "inputs": {"x": 1, "y": "\ud800"}}}
    other = {"1": {"inputs": {"y": "\ud800", "x": 1}, "class_type": "A"}}
    assert request_digest(prompt) == request_digest(other)
    assert request_digest(prompt) != request_digest({"1": {"class_type": "A", "inputs": {"x": 2, "y": "\ud800"}}})
