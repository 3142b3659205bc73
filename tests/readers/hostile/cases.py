"""Files made to harm whoever reads them. Each case builds one below a folder and says what a reader must tell of it."""

from __future__ import annotations

import json
import os
import pickle
import random
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

SENTINEL = "executed"
"""A file of this name in the working folder of the reading process: something was executed."""
EVIL_MODULE = "evil_module"
"""A module on the reading process' path; importing it leaves the sentinel, and so does its `Evil`."""
COMMAND = f"touch {SENTINEL}"


@dataclass(frozen=True)
class Case:
    """`build` writes the file or folder and gives its path; `says` is a pattern that a message must match.

    Where `says` is empty the file is usable, and what it is for is still found: `points` scalars or a checkpoint.
    """

    build: Callable[[Path], Path]
    says: str = ""
    points: int | None = None


CASES: dict[str, Case] = {}


def case(says: str = "", *, points: int | None = None) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    def register(build: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES[build.__name__] = Case(build, says, points)
        return build

    return register


# Pickles


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def call(module: str, name: str, argument: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + argument + b"\x85R"


RUN = text(COMMAND)
GETATTR = b"cbuiltins\ngetattr\n"
IMPORT_OS = call("builtins", "__import__", text("os"))
INNER = pickle.dumps(1, 2)[:-2] + call("posix", "system", RUN) + b"."
# By every opcode that imports, calls or sets state; each leaves one object on the stack.
ROUTES: dict[str, bytes] = {
    "reduce": call("posix", "system", RUN),
    "reduce_in_protocol_0": b"cposix\nsystem\n(S'" + COMMAND.encode() + b"'\ntR",
    "inst": b"(" + RUN + b"iposix\nsystem\n",
    "obj": b"(cposix\nsystem\n" + RUN + b"o",
    "newobj": b"cposix\nsystem\n" + RUN + b"\x85\x81",
    "newobj_ex": b"cposix\nsystem\n" + RUN + b"\x85}\x92",
    "build_with_setstate": f"c{EVIL_MODULE}\nEvil\n".encode() + b")\x81}" + text("a") + b"K\x01sb",
    "build_with_slots": f"c{EVIL_MODULE}\nEvil\n".encode() + b")\x81N}" + text("a") + b"K\x01s\x86b",
    "global_import": f"c{EVIL_MODULE}\nEvil\n".encode(),
    "stack_global": text("posix") + text("system") + b"\x93" + RUN + b"\x85R",
    "stack_global_of_an_attribute": text("os") + text("system.__call__") + b"\x93" + RUN + b"\x85R",
    "builtins_eval": call("builtins", "eval", text(f"__import__('os').system('{COMMAND}')")),
    "builtins_exec": call("builtins", "exec", text(f"import os; os.system('{COMMAND}')")),
    "builtins_of_python_2": call("__builtin__", "eval", text(f"__import__('os').system('{COMMAND}')")),
    "builtins_import": call("builtins", "__import__", text(EVIL_MODULE)),
    "getattr_chain": GETATTR + IMPORT_OS + text("system") + b"\x86R" + RUN + b"\x85R",
    "subprocess": call("subprocess", "getoutput", RUN),
    "functools_partial": b"cfunctools\npartial\ncposix\nsystem\n" + RUN + b"\x86R)R",
    "operator_methodcaller": b"coperator\nmethodcaller\n" + text("system") + RUN + b"\x86R" + IMPORT_OS + b"\x85R",
    "runpy": call("runpy", "run_path", text(f"{EVIL_MODULE}.py")),
    "ext1": b"\x82\x01" + RUN + b"\x85R",
    "ext2": b"\x83\x01\x01" + RUN + b"\x85R",
    "ext4": b"\x84\x01\x01\x01\x01" + RUN + b"\x85R",
    "memo_far_out": b"cposix\nsystem\nr\xff\xff\xff\x7f0j\xff\xff\xff\x7f" + RUN + b"\x85R",
    "memo_overwritten": text("x") + b"q\x010cposix\nsystem\nq\x010h\x01" + RUN + b"\x85R",
    "persistent_id_as_text": b"Pcposix\n",
    "persistent_id_with_a_call": b"(" + text("storage") + call("posix", "system", RUN) + text("0") + b"K\x01K\x01tQ",
    "storage_of_a_function": b"(" + text("storage") + b"cposix\nsystem\n" + text("0") + text("cpu") + b"K\x01tQ",
    "nested_pickle": b"cpickle\nloads\nC" + bytes([len(INNER)]) + INNER + b"\x85R",
    "copyreg_reconstructor": b"ccopyreg\n_reconstructor\ncposix\nsystem\n" + RUN + b"N\x87R",
    "copyreg_newobj": b"ccopyreg\n__newobj__\ncposix\nsystem\n" + RUN + b"\x86R",
    "numpy_scalar": b"cnumpy.core.multiarray\nscalar\n" + call("posix", "system", RUN) + b"C\x04abcd\x86R",
    "appends_to_a_call": call("posix", "system", RUN) + b"(K\x01K\x02e",
    "items_of_a_call": call("posix", "system", RUN) + b"(K\x01K\x02u",
    "rebuild_with_a_hook": b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))\x89" + call("posix", "system", RUN) + b"tR",
    "torch_load": call("torch.serialization", "load", call("io", "BytesIO", b"C\x05abcde")),
}


def state(evil: bytes) -> bytes:
    """A checkpoint's root: an epoch that is to be found, and the harm."""
    return b"\x80\x02}(" + text("epoch") + b"K\x03" + text("extra") + evil + b"u."


def zipped(path: Path, pickled: bytes, method: int = zipfile.ZIP_STORED, name: str = "last/data.pkl") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, pickled)
        archive.writestr("last/version", "3")
    return path


LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}" + text("little_endian") + b"\x88s."


def _bare(folder: Path, content: bytes, name: str = "last.pt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _register_routes() -> None:
    for name, evil in ROUTES.items():
        CASES[f"pickle_{name}"] = Case(lambda folder, evil=evil: _bare(folder, state(evil)))
    for name in ("reduce", "stack_global", "build_with_setstate"):
        evil = state(ROUTES[name])
        CASES[f"zip_{name}"] = Case(lambda folder, evil=evil: zipped(folder / "last.pt", evil))
        CASES[f"legacy_{name}"] = Case(lambda folder, evil=evil: _bare(folder, LEGACY + evil + b"\x80\x02]."))


_register_routes()


@case("holds no table")
def table_that_calls(folder: Path) -> Path:
    named = b"}" + text("t") + b"cpandas.core.frame\nDataFrame\n" + call("posix", "system", RUN) + b"\x85Rs."
    return _bare(
        folder, b"\x80\x04" + call("pandas", "eval", RUN) + b"0" + named.replace(b"DataFrame", b"Series"), "t.pkl"
    )


@case()
def training_arguments_that_call(folder: Path) -> Path:
    zipped(folder / "training_args.bin", state(ROUTES["reduce"]))
    (folder / "metrics.csv").write_text("step,lr\n1,0.5\n2,0.25\n", encoding="utf-8")
    return folder


@case("bytes of the pickle|ends inside|too large|malformed")
def pickle_claims_a_long_text(folder: Path) -> Path:
    return _bare(folder, b"\x80\x04\x8d" + struct.pack("<Q", 10**18) + b"abc.")


@case("ends inside|malformed")
def pickle_claims_long_bytes(folder: Path) -> Path:
    return _bare(folder, b"\x80\x05\x96" + struct.pack("<Q", 2**63) + b"abc.")


@case("ends inside|malformed")
def pickle_claims_a_negative_length(folder: Path) -> Path:
    return _bare(folder, b"\x80\x02T\xff\xff\xff\xffabc.")


@case()
def pickle_number_of_a_million_digits(folder: Path) -> Path:
    return _bare(folder, state(b"L" + b"9" * 10**6 + b"L\n"))


@case("weights only")
def pickle_tensor_of_a_billion_elements(folder: Path) -> Path:
    storage = b"((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"J\xff\xff\xff\x7ftQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + b"K\x00J\x00\xca\x9a;\x85K\x01\x85\x89NtR"
    held = b"}(" + text("state") + b"}K\x00}" + text("step") + tensor + b"sss"
    return zipped(folder / "last.pt", b"\x80\x02}(" + text("epoch") + b"K\x03" + text("optimizer") + held[:-1] + b"u.")


@case()
def pickle_ten_thousand_lists_deep(folder: Path) -> Path:
    return _bare(folder, state(b"]" * 10_000 + b"a" * 9_999))


@case()
def pickle_ten_thousand_tuples_deep(folder: Path) -> Path:
    return _bare(folder, state(b"N" + b"\x85" * 10_000))


@case()
def pickle_deep_tuple_as_a_key(folder: Path) -> Path:
    return _bare(folder, state(b"}N" + b"\x85" * 100_000 + b"K\x01s"))


@case("instructions|malformed|ends inside")
def pickle_of_marks(folder: Path) -> Path:
    return _bare(folder, b"\x80\x02" + b"(" * 6_000_000 + b".")


@case("limit pickle_instructions")
def pickle_of_objects_without_end(folder: Path) -> Path:
    return _bare(folder, b"\x80\x02cposix\nsystem\nq\x000(" + b"h\x00)R" * 2_500_000 + b"l.")


@case("over and over")
def pickle_that_copies_a_text(folder: Path) -> Path:
    first = b"c_codecs\nencode\nq\x000" + text("x" * 10**6) + b"q\x010" + text("latin1") + b"q\x020"
    return _bare(folder, b"\x80\x02" + first + b"(" + b"h\x00h\x01h\x02\x86R" * 50_000 + b"l.")


@case("over and over")
def pickle_that_copies_a_list(folder: Path) -> Path:
    first = b"cbuiltins\nlist\nq\x000](" + b"N" * 100_000 + b"eq\x010"
    return _bare(folder, b"\x80\x02" + first + b"(" + b"h\x00h\x01\x85R" * 100_000 + b"l.")


@case()
def pickle_of_lists_that_share(folder: Path) -> Path:
    """Ten lists of ten lists of ...: ten billion ways to walk down."""
    levels = b"]q\x00" + b"".join(b"0](" + b"h%c" % level * 10 + b"eq%c" % (level + 1) for level in range(10))
    return _bare(folder, state(levels))


@case()
def pickle_of_optimizers_that_share_their_groups(folder: Path) -> Path:
    groups = b"](" + b"}" * 50_000 + b"eq\x000" + text("param_groups") + b"q\x010"
    held = b"(" + b"}h\x01h\x00s" * 50_000 + b"l"
    return _bare(folder, b"\x80\x02" + groups + state(held)[2:])


@case()
def pickle_of_schedulers_that_share_their_milestones(folder: Path) -> Path:
    many = b"](" + b"K\x01" * 50_000 + b"eq\x000" + text("milestones") + b"q\x010"
    names = text("last_epoch") + b"q\x020" + text("_step_count") + b"q\x030"
    held = b"(" + b"}(h\x02K\x01h\x03K\x01h\x01h\x00u" * 50_000 + b"l"
    return _bare(folder, b"\x80\x02" + many + names + state(held)[2:])


@case()
def pickle_that_holds_itself(folder: Path) -> Path:
    return _bare(
        folder, b"\x80\x02}q\x00(" + text("epoch") + b"K\x03" + text("optimizer") + b"h\x00" + text("x") + b"h\x00u."
    )


@case("malformed")
def pickle_of_rubbish(folder: Path) -> Path:
    return _bare(folder, b"\x80\x02" + random.Random(0).randbytes(10_000))


# Archives


def deflated(size: int, fill: bytes = b"N") -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = fill * (1 << 22)
    return b"".join(packer.compress(block) for _ in range(size >> 22)) + packer.flush()


def entry(name: bytes, data: bytes, size: int, *, method: int = 8, flags: int = 0) -> tuple[bytes, bytes]:
    """Local header with data, and the directory's entry less its place."""
    sizes = struct.pack("<3I2H", 0, len(data), size, len(name), 0)
    local = struct.pack("<4s5H", b"PK\x03\x04", 20, flags, method, 0, 0) + sizes + name + data
    central = struct.pack("<4s6H", b"PK\x01\x02", 20, 20, flags, method, 0, 0) + sizes + struct.pack("<3HI", 0, 0, 0, 0)
    return local, central


def archive(*members: tuple[bytes, bytes, bytes], count: int | None = None) -> bytes:
    """Members as (local, central, name) one after the other, and the directory."""
    content, directory = b"", b""
    for local, central, name in members:
        directory += central + struct.pack("<I", len(content)) + name
        content += local
    number = len(members) if count is None else count
    return (
        content
        + directory
        + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, number, number, len(directory), len(content), 0)
    )


def one_member(data: bytes, size: int, name: bytes = b"last/data.pkl", **options: int) -> bytes:
    local, central = entry(name, data, size, **options)
    return archive((local, central, name))


@case("limit pickle_bytes")
def zip_bomb(folder: Path) -> Path:
    return _bare(folder, one_member(deflated(300 << 20), 300 << 20))


@case("limit pickle_bytes")
def zip_bomb_that_claims_to_be_small(folder: Path) -> Path:
    return _bare(folder, one_member(deflated(300 << 20), 10))


@case("limit pickle_bytes")
def zip_member_of_four_gigabytes_by_its_word(folder: Path) -> Path:
    return _bare(folder, one_member(b"\x80\x02N.", 2**32 - 2, method=0))


@case("no data.pkl|ends inside|malformed|incomplete|missing")
def zip_with_paths_that_leave(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "last.pt", "w") as file:
        for name in ("../../../executed", "/tmp/lrdoctor-executed", "..\\executed", "last/../../executed"):
            file.writestr(name, "x")
    return folder / "last.pt"


@case()
def zip_whose_pickle_lies_on_a_path_that_leaves(folder: Path) -> Path:
    return zipped(folder / "last.pt", state(b"N"), name="../../executed/data.pkl")


@case()
def zip_with_members_of_the_same_name(folder: Path) -> Path:
    first, second = (entry(b"last/data.pkl", data, len(data), method=0) for data in (state(b"K\x01"), state(b"K\x02")))
    return _bare(folder, archive((*first, b"last/data.pkl"), (*second, b"last/data.pkl")))


@case()
def zip_with_members_that_overlap(folder: Path) -> Path:
    """Every entry of the directory leads to the same bytes."""
    local, central = entry(b"last/data.pkl", state(b"N"), len(state(b"N")), method=0)
    names = [b"last/data.pkl", *(b"last/data/%d" % number for number in range(1000))]
    directory = b"".join(
        central[:28] + struct.pack("<H", len(name)) + central[30:] + b"\0\0\0\0" + name for name in names
    )
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(names), len(names), len(directory), len(local), 0)
    return _bare(folder, local + directory + end)


@case("missing|damaged|cannot be read|incomplete|limit members")
def zip_that_claims_many_members(folder: Path) -> Path:
    local, central = entry(b"last/data.pkl", state(b"N"), len(state(b"N")), method=0)
    return _bare(folder, archive((local, central, b"last/data.pkl"), count=60_000))


@case("limit members")
def zip64_that_claims_a_quintillion_members(folder: Path) -> Path:
    local, central = entry(b"last/data.pkl", state(b"N"), len(state(b"N")), method=0)
    whole = archive((local, central, b"last/data.pkl"), count=0xFFFF)
    body, end = whole[:-22], whole[-22:]
    wide = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**18, 10**18, 60, len(local))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body), 1)
    return _bare(folder, body + wide + locator + end)


@case("encrypted")
def zip_that_is_encrypted(folder: Path) -> Path:
    return _bare(folder, one_member(state(b"N"), len(state(b"N")), method=0, flags=1))


@case("method 12")
def zip_packed_in_an_odd_way(folder: Path) -> Path:
    return _bare(folder, one_member(b"BZh9", 100, method=12))


@case("cannot be unpacked|malformed|ends inside")
def zip_whose_data_is_rubbish(folder: Path) -> Path:
    return _bare(folder, one_member(random.Random(1).randbytes(1000), 1000))


@case("no data.pkl")
def zip_in_a_zip(folder: Path) -> Path:
    inner = zipped(folder / "inner", state(ROUTES["reduce"])).read_bytes()
    (folder / "inner").unlink()
    return zipped(folder / "last.pt", inner, name="last/inner.pt")


@case(".")
def tar_bomb(folder: Path) -> Path:
    """Headers of files of eight gigabytes each, and nothing behind them."""
    header = b"../../executed".ljust(100, b"\0") + b"0000644\0" * 3 + b"77777777777\0" + b"0" * 12 + b" " * 8 + b"0"
    return _bare(folder, (header.ljust(257, b"\0") + b"ustar\x0000").ljust(512, b"\0") * 2000, "last.pth.tar")


@case(".")
def distributed_metadata_of_rubbish(folder: Path) -> Path:
    (folder / "__0_0.distcp").write_bytes(b"\0" * 100)
    (folder / ".metadata").write_bytes(state(ROUTES["reduce"]))
    return folder


@case("limit header_bytes")
def safetensors_with_a_header_of_exabytes(folder: Path) -> Path:
    return _bare(folder, struct.pack("<Q", 2**63) + b'{"a": 1}', "model.safetensors")


@case("malformed|nested")
def safetensors_nested_without_end(folder: Path) -> Path:
    header = b'{"a":' + b"[" * 100_000
    return _bare(folder, struct.pack("<Q", len(header)) + header, "model.safetensors")


@case("weights")
def safetensors_whose_offsets_lie(folder: Path) -> Path:
    header = json.dumps(
        {"a": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [10**30, -(10**30)]}, "b": 3}
    ).encode()
    return _bare(folder, struct.pack("<Q", len(header)) + header, "model.safetensors")


# JSON and YAML


@case("nested too deeply|recognises|not a JSON")
def json_ten_thousand_deep(folder: Path) -> Path:
    return _bare(folder, b'{"lr": 0.1, "log_history": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "trainer_state.json")


@case("malformed|cut off|digits")
def json_number_of_a_million_digits(folder: Path) -> Path:
    row = b'{"step": ' + b"9" * 10**6 + b', "learning_rate": 0.1}'
    return _bare(folder, b'{"global_step": 1, "log_history": [' + row + b"]}", "trainer_state.json")


@case()
def json_numbers_beyond_a_double(folder: Path) -> Path:
    rows = [f'{{"step": {number}, "lr": {number}, "loss": 1e400}}' for number in ("1" * 400, "1e400", "-1e999", "1")]
    return _bare(folder, "\n".join(rows).encode(), "log.jsonl")


@case(points=8)
def json_with_the_same_key_twice(folder: Path) -> Path:
    rows = [f'{{"step": {step}, "lr": 1, "lr": 0.5, "loss": NaN, "loss": Infinity}}' for step in range(4)]
    return _bare(folder, "\n".join(rows).encode(), "log.jsonl")


@case("limit tags")
def json_with_names_without_end(folder: Path) -> Path:
    rows = [
        json.dumps({"step": row, "lr": 0.1, **{f"n{row}_{number}": 1 for number in range(3000)}}) for row in range(9)
    ]
    return _bare(folder, "\n".join(rows).encode(), "log.jsonl")


@case("limit line_chars")
def json_line_of_a_gigabyte(folder: Path) -> Path:
    path = _bare(folder, b'{"step": 1, "lr": 0.5, "loss": 1}\n' * 2000 + b'{"step": 2, "text": "', "log.jsonl")
    with path.open("r+b") as stream:
        stream.truncate(1 << 30)
    return path


@case("limit document_bytes")
def json_document_of_a_gigabyte(folder: Path) -> Path:
    path = _bare(folder, b'{"global_step": 1, "log_history": [{"step": 1, "learning_rate": 0.5}', "trainer_state.json")
    with path.open("r+b") as stream:
        stream.truncate(1 << 30)
    return path


@case(points=2)
def json_of_the_wrong_kinds(folder: Path) -> Path:
    history = [
        None,
        3,
        "x",
        [],
        {"step": {}, "learning_rate": []},
        {"loss": "nan", "step": True},
        {"lr": {"lr": {"lr": 1}}},
    ]
    content = {
        "global_step": "x",
        "max_steps": [1],
        "num_train_epochs": {},
        "train_batch_size": None,
        "log_history": history,
    }
    return _bare(folder, json.dumps(content).encode(), "trainer_state.json")


def beside_a_log(folder: Path, settings: str, name: str = "hparams.yaml") -> Path:
    (folder / "metrics.csv").write_text("step,lr\n1,0.5\n2,0.25\n", encoding="utf-8")
    (folder / name).write_text(settings, encoding="utf-8")
    return folder


@case(points=2)
def yaml_that_calls(folder: Path) -> Path:
    tags = (f"!!python/object/apply:os.system ['{COMMAND}']", f"!!python/name:{EVIL_MODULE}.Evil ''")
    more = (f"!!python/object/new:{EVIL_MODULE}.Evil []", f"!!python/module:{EVIL_MODULE} ''")
    return beside_a_log(folder, "".join(f"a{index}: {tag}\n" for index, tag in enumerate((*tags, *more))) + "lr: 0.5\n")


@case(points=2)
def yaml_billion_laughs(folder: Path) -> Path:
    lines = ["a0: &a0 {lr: 0.5}", *(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(12))]
    return beside_a_log(folder, "\n".join([*lines, "optimizer: *a12", "config: {<<: *a12, x: *a11}"]))


@case("limit nesting")
def yaml_five_hundred_deep(folder: Path) -> Path:
    return beside_a_log(folder, "a: " + "[" * 500 + "]" * 500)


@case("nesting")
def yaml_ten_thousand_deep(folder: Path) -> Path:
    return beside_a_log(folder, "a: " + "[" * 10_000 + "]" * 10_000)


@case(points=2)
def yaml_that_holds_itself(folder: Path) -> Path:
    return beside_a_log(folder, "optimizer: &a\n  lr: 0.5\n  config: *a\n  model: [*a, *a]\n")


@case(points=2)
def yaml_numbers_and_keys_of_all_kinds(folder: Path) -> Path:
    return beside_a_log(
        folder, f"lr: {'9' * 5000}\n? [a, b]\n: 1\n? {{x: 1}}\n: 2\nbatch_size: 0x{'f' * 500}\nepochs: 1e{'9' * 50}\n"
    )


@case("limit settings_bytes")
def yaml_of_a_gigabyte(folder: Path) -> Path:
    beside_a_log(folder, "lr: 0.5\n")
    os.truncate(folder / "hparams.yaml", 1 << 30)
    return folder


@case("nested|settings")
def json_settings_without_end(folder: Path) -> Path:
    return beside_a_log(folder, '{"a":' * 100_000, "config.json")


# Tables and text


@case("limit columns")
def csv_of_thirty_thousand_columns(folder: Path) -> Path:
    names = ",".join(["step", "lr", *(f"c{number}" for number in range(30_000))])
    return _bare(folder, f"{names}\n{'1,' * 30_000}1,1\n".encode(), "metrics.csv")


@case("limit line_chars")
def csv_of_a_million_columns(folder: Path) -> Path:
    names = ",".join(["step", "lr", *(f"c{number}" for number in range(10**6))])
    return _bare(folder, f"{names}\n{'1,' * 10**6}1,1\n".encode(), "metrics.csv")


@case("limit line_chars")
def csv_with_one_enormous_line(folder: Path) -> Path:
    path = _bare(folder, b"step,lr\n" + b"1,0.5\n" * 12_000 + b"3,", "metrics.csv")
    with path.open("r+b") as stream:
        stream.truncate(300 << 20)
    return path


@case(".")
def csv_with_nul_bytes(folder: Path) -> Path:
    return _bare(folder, b"step,lr\n1,0.5\n2,0.\x0025\n\x00\x00\n3,0.125\n", "metrics.csv")


@case(".")
def csv_with_a_quote_that_never_ends(folder: Path) -> Path:
    return _bare(folder, b'step,lr\n1,0.5\n2,"' + b"3,0.5\n" * 300_000, "metrics.csv")


@case(points=4)
def csv_with_formulas_and_tags(folder: Path) -> Path:
    return _bare(
        folder, b"step,lr,=cmd|'/C calc'!A0,<script>alert(1)</script>\n1,0.5,=1+1,1\n2,0.25,@x,2\n", "metrics.csv"
    )


@case(points=4)
def text_of_carriage_returns(folder: Path) -> Path:
    return _bare(folder, b"step 1 lr 0.1 loss 2\nstep 2 lr 0.1 loss 2\n" + b"\r" * 5_000_000, "train.log")


@case("limit text_chars")
def text_of_one_line(folder: Path) -> Path:
    lines = b"".join(b"step: %d, lr: 0.1, loss: 2.0\n" % step for step in range(9))
    return _bare(folder, lines + b"lr: " * 5_000_000, "train.log")


@case(points=18)
def text_that_is_hard_to_match(folder: Path) -> Path:
    hard = [b"lr " * 5000, b"[" * 15_000, b"1e" * 8000, b"epoch" + b" " * 16_000, b"lr=[" + b"1," * 8000, b"(" * 16_000]
    lines = b"".join(b"step: %d, lr: 0.1, loss: 2.0\n" % step for step in range(9))
    return _bare(folder, lines + b"\n".join(hard * 20) + b"\n", "train.log")


# Event files


def framed(content: bytes, length: int | None = None) -> bytes:
    def masked(data: bytes) -> bytes:
        crc = google_crc32c.value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    header = struct.pack("<Q", len(content) if length is None else length)
    return header + masked(header) + content + masked(content)


def field(number: int, content: bytes) -> bytes:
    length, size = bytearray(), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def event(tag: bytes, value: float, step: int) -> bytes:
    summary = field(1, field(1, tag) + b"\x15" + struct.pack("<f", value))
    return b"\x09" + struct.pack("<d", 1.7e9 + step) + b"\x10" + bytes([step % 128]) + field(5, summary)


EVENTS = "events.out.tfevents.1700000000.host.1.0"
GOOD = b"".join(framed(event(b"lr", 0.5, step)) for step in range(1, 9))


@case("truncated inside its last record")
def events_that_claim_an_exabyte(folder: Path) -> Path:
    return _bare(folder, GOOD + framed(event(b"lr", 1, 9), 2**60), EVENTS)


@case("not an event record")
def events_with_a_damaged_header(folder: Path) -> Path:
    return _bare(folder, GOOD + b"\x20\0\0\0\0\0\0\0abcd" + bytes(100), EVENTS)


@case("damaged record")
def events_with_a_wrong_checksum(folder: Path) -> Path:
    return _bare(folder, GOOD + framed(event(b"lr", 1, 9))[:-1] + b"x" + GOOD, EVENTS)


@case("damaged record")
def events_whose_fields_lie(folder: Path) -> Path:
    lies = [
        b"\x2a\xff\xff\xff\xff\x0f",
        b"\x2a\x03\x0a\x7f\x01",
        b"\xff" * 20,
        b"\x09\x01",
        b"\x0b\x0c",
        b"\x2a" + b"\x80" * 11,
    ]
    return _bare(folder, GOOD + b"".join(map(framed, lies)) * 50 + GOOD, EVENTS)


@case("limit tags")
def events_with_tags_without_end(folder: Path) -> Path:
    return _bare(folder, b"".join(framed(event(b"t%d" % number, 1, 1)) for number in range(21_000)), EVENTS)


@case()
def events_with_a_record_of_many_numbers(folder: Path) -> Path:
    values = b"".join(field(1, field(1, b"lr") + b"\x15" + struct.pack("<f", 0.5)) for _ in range(200_000))
    return _bare(folder, framed(b"\x10\x01" + field(5, values)), EVENTS)


@case(points=8)
def events_with_other_layouts_without_end(folder: Path) -> Path:
    shapes = [framed(event(b"lr", 0.5, 1) + field(15, random.Random(n).randbytes(40))) for n in range(5000)]
    return _bare(folder, GOOD + b"".join(record.replace(b"lr", b"no", 1) for record in shapes), EVENTS)


@case(points=8)
def events_with_rubbish_for_hyper_parameters(folder: Path) -> Path:
    tag = field(1, b"_hparams_/session_start_info")
    rubbish = field(9, field(1, field(2, random.Random(2).randbytes(500))))
    return _bare(folder, GOOD + framed(field(5, field(1, tag + rubbish))), EVENTS)


@case(points=8)
def events_with_tags_that_rewrite_a_terminal(folder: Path) -> Path:
    names = [b"lr\x1b[2J\x1b]0;owned\x07", b"<img src=x onerror=alert(1)>/lr"]
    return _bare(folder, b"".join(framed(event(name, 0.5, step)) for step in range(4) for name in names), EVENTS)


# W&B


def wandb_record(number: int) -> bytes:
    items = b"".join(field(1, field(1, name) + bytes([0x82, 1]) + field(0, value)[1:]) for name, value in
                     ((b"lr", b"0.5"), (b"_step", b"%d" % number)))  # fmt: skip
    return field(2, items)


def wandb_chunks(records: list[bytes]) -> bytes:
    content = b":W&B\xbe\xe1\x00"
    for record in records:
        kind = bytes([1])
        content += struct.pack("<IH", zlib.crc32(kind + record), len(record)) + kind + record
    return content


@case("truncated")
def wandb_cut_inside_a_record(folder: Path) -> Path:
    return _bare(folder, wandb_chunks([wandb_record(step) for step in range(500)])[:-7], "run-abc.wandb")


@case("damaged|truncated")
def wandb_with_chunks_of_rubbish(folder: Path) -> Path:
    whole = wandb_chunks([wandb_record(step) for step in range(500)])
    return _bare(folder, whole + random.Random(3).randbytes(100_000), "run-abc.wandb")


@case("truncated|damaged|limit record_bytes")
def wandb_record_without_end(folder: Path) -> Path:
    content = bytearray(wandb_chunks([wandb_record(1)]))
    first = True
    while len(content) < 66 << 20:
        room = 32768 - len(content) % 32768
        if room < 8:
            content += bytes(room)
            continue
        piece, kind = bytes(room - 7), bytes([2 if first else 3])
        content += struct.pack("<IH", zlib.crc32(kind + piece), len(piece)) + kind + piece
        first = False
    return _bare(folder, bytes(content), "run-abc.wandb")


# What is no file


@case("no training log|neither|nested|loop|cannot")
def folders_in_a_loop_of_links(folder: Path) -> Path:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "a" / "self").symlink_to(folder / "a", target_is_directory=True)
    (folder / "metrics.csv").symlink_to("metrics.csv")
    return folder


@case("limit folder_depth")
def folders_without_end(folder: Path) -> Path:
    deep = folder
    for _ in range(60):
        deep = deep / "d"
    deep.mkdir(parents=True)
    return folder


@case("neither a regular file|no training log")
def pipe_named_like_a_log(folder: Path) -> Path:
    os.mkfifo(folder / EVENTS)
    os.mkfifo(folder / "metrics.csv")
    os.mkfifo(folder / "hparams.yaml")
    return folder


@case("neither a regular file|no training log")
def pipe_given_by_name(folder: Path) -> Path:
    os.mkfifo(folder / "last.ckpt")
    return folder / "last.ckpt"


@case("neither a regular file|no training log")
def device_named_like_a_log(folder: Path) -> Path:
    (folder / "metrics.csv").symlink_to("/dev/zero")
    (folder / "last.ckpt").symlink_to("/dev/urandom")
    return folder


@case("neither a regular file|no training log")
def device_given_by_name(folder: Path) -> Path:
    (folder / "last.ckpt").symlink_to("/dev/zero")
    return folder / "last.ckpt"


@case("neither a regular file|no training log")
def socket_named_like_a_log(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(folder)
        bound.bind("metrics.csv")
        os.chdir(here)
    return folder


@case(points=2)
def folder_of_pipes_beside_a_log(folder: Path) -> Path:
    beside_a_log(folder, "lr: 0.5\n")
    for name in ("args.yaml", "trainer_state.json", "training_args.bin", "scheduler.pt", "optimizer.pt"):
        os.mkfifo(folder / name)
    return folder


@case(".")
def folders_named_like_files(folder: Path) -> Path:
    for name in ("last.ckpt", "metrics.csv", EVENTS, "trainer_state.json", "hparams.yaml"):
        (folder / name).mkdir()
    return folder


@case("" if os.geteuid() == 0 else "cannot be opened|no training log", points=1 if os.geteuid() == 0 else None)
def file_that_may_not_be_read(folder: Path) -> Path:
    path = _bare(folder, b"step,lr\n1,0.5\n", "metrics.csv")
    path.chmod(0)
    return path


@case(points=2)
def name_that_rewrites_a_terminal(folder: Path) -> Path:
    below = folder / "run\x1b[2J\x1b[31m<b>x"
    below.mkdir()
    return beside_a_log(below, "lr: 0.5\n")


def every_case() -> Iterator[tuple[str, Case]]:
    yield from sorted(CASES.items())
