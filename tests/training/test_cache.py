"""What a home keeps of earlier runs comes back as it was, under names that say all it depends on, or not at all."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from workbench.training.cache import LogpCache, TokenCache, hashes, replacing
from workbench.training.data import Dropped, Encoded, Stops, stops


def ids(*values):
    return np.array(values, dtype=np.int32)


MADE = [
    Encoded(ids(1, 2), (ids(3), ids(4, 5))),
    Dropped("empty_answer"),
    Encoded(ids(1, 2), (ids(6), ids(7), ids(8, 9)), shifted=True),
    Encoded(ids(1), (ids(3),)),
]


def same(a, b):
    if isinstance(a, Dropped):
        return isinstance(b, Dropped) and a.args[0] == b.args[0]
    pairs = zip((a.prompt, *a.answers), (b.prompt, *b.answers), strict=True)
    return a.shifted == b.shifted and all(x.dtype == y.dtype and x.tolist() == y.tolist() for x, y in pairs)


@pytest.mark.parametrize("rows", [MADE, MADE[1:2]])
def test_token_ids_come_back(tmp_path, rows):
    cache = TokenCache(tmp_path / "key")
    assert cache.read(len(rows)) is None
    cache.write(rows)
    known = cache.read(len(rows))
    assert all(same(a, b) for a, b in zip(rows, known, strict=True))
    assert [p.name for p in cache.path.parent.iterdir()] == ["rows.arrow"]


def test_a_prompt_is_kept_once(tmp_path):
    cache = TokenCache(tmp_path / "key")
    cache.write(MADE)
    with pa.memory_map(str(cache.path)) as source:
        assert len(pa.ipc.open_file(source).read_all()["prompt"].chunk(0).dictionary) == 2
    known = cache.read(4)
    assert known[0].prompt is known[2].prompt


def test_damage_is_noticed_wherever_it_is(tmp_path, capsys):
    cache = TokenCache(tmp_path / "key")
    cache.write(MADE)
    whole = cache.path.read_bytes()
    for cut in (0, 5, len(whole) // 2, len(whole) - 1):
        cache.path.write_bytes(whole[:cut])
        assert cache.read(4) is None
        assert not cache.path.exists()
    for at in range(0, len(whole), 7):
        cache.path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :])
        known = cache.read(4)
        assert known is None or all(same(a, b) for a, b in zip(MADE, known, strict=True)), at
    cache.path.write_bytes(whole)
    assert cache.read(5) is None
    assert "is damaged and made anew" in capsys.readouterr().out


def test_its_name_holds_all_that_token_ids_depend_on(tmp_path, tiny):
    model = shutil.copytree(tiny, tmp_path / "model")
    rows, tokenizer = tmp_path / "pairs.parquet", AutoTokenizer.from_pretrained(model)
    rows.write_bytes(b"rows")

    def name(**other):
        stop, empty = other.get("stop", stops(tokenizer)), other.get("empty", "drop")
        return TokenCache.of(tmp_path / "tokens", [rows], tokenizer, stop, empty).path.parent.name

    first = name()
    assert first == name()
    seen = {first, name(empty="keep"), name(stop=Stops(frozenset({3, 5}), 3))}
    rows.write_bytes(b"other rows")
    seen.add(name())
    (model / "tokenizer.json").write_text((model / "tokenizer.json").read_text() + " ")
    seen.add(name())
    tokenizer.chat_template += " "
    seen.add(name())
    assert len(seen) == 6


def test_known_files_are_not_read_again(tmp_path):
    file, memo = tmp_path / "model.safetensors", tmp_path / "cache" / "weights.json"
    file.write_bytes(b"one")
    [first] = hashes([file], memo)
    memo.write_text(memo.read_text().replace(first, "remembered"))
    assert hashes([file], memo) == ["remembered"]
    file.write_bytes(b"two!")
    assert hashes([file], memo) not in ([first], ["remembered"])
    for nonsense in ("", "[1]", "{", "null"):
        memo.write_text(nonsense)
        file.write_bytes(b"one")
        assert hashes([file], memo) == [first]


def test_log_probs_come_back_from_every_writer(tmp_path, capsys):
    cache = LogpCache(tmp_path / "identity")
    assert cache.read() == {}
    cache.add([b"a" * 16, b"b" * 16], [-1.5, -2.25], [3, 4])
    LogpCache(tmp_path / "identity").add([b"c" * 16], [-0.5], [1])
    assert cache.read() == {b"a" * 16: -1.5, b"b" * 16: -2.25, b"c" * 16: -0.5}
    [one, other] = sorted(cache.folder.iterdir())
    assert pq.read_schema(one).names == ["row", "logp", "tokens"]
    lost = {*pq.read_table(one)["row"].to_pylist()}
    one.write_bytes(one.read_bytes()[:-9])
    assert set(cache.read()) == {b"a" * 16, b"b" * 16, b"c" * 16} - lost
    assert not one.exists()
    assert "is damaged, its rows are computed again" in capsys.readouterr().out
    assert other.exists()


def test_a_flipped_byte_of_log_probs_never_passes_for_a_number(tmp_path):
    cache = LogpCache(tmp_path)
    rows = [bytes([i]) * 16 for i in range(100)]
    cache.add(rows, [-i / 7 for i in range(100)], [1] * 100)
    [path] = tmp_path.iterdir()
    whole, true = path.read_bytes(), cache.read()
    for at in range(0, len(whole), 29):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        assert cache.read() in (true, {}), at


def test_a_failed_write_leaves_nothing(tmp_path):
    def fail():
        with replacing(tmp_path / "deep" / "file") as part:
            part.write_bytes(b"half")
            raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert list((tmp_path / "deep").iterdir()) == []
