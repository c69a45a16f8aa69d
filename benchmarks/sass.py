"""Machine code of a cubin: what the assembler says about a kernel, and its instructions, by NVIDIA's disassembler."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

EIATTR_FRAME_SIZE, EIATTR_PARAMETER, EIATTR_REGISTERS = 0x11, 0x17, 0x2F
FORM_SIZED = 4  # an attribute with a length and a value after its code
INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*?);")
LABEL = re.compile(r"^(\.L_x_\d+):")


class Machine(NamedTuple):
    """One kernel's machine code."""

    registers: int
    frame_bytes: int  # local memory of a thread: spills, and arrays that did not become registers
    instructions: int  # without NOPs and the endless loop behind the end
    opcodes: Counter[str]
    widest_load_bits: int
    widest_store_bits: int
    loops: list[int]  # instructions inside each loop that was not unrolled


def nvdisasm() -> str:
    """The disassembler: on the PATH, or from the package nvidia-cuda-nvdisasm."""
    found = shutil.which("nvdisasm")
    if found is None:
        from cuda.pathfinder import find_nvidia_binary_utility

        found = find_nvidia_binary_utility("nvdisasm")
    if found is None:
        raise RuntimeError("nvdisasm is not installed: pip install nvidia-cuda-nvdisasm")
    return str(found)


def sections(cubin: bytes) -> dict[str, tuple[tuple, bytes]]:
    """Name -> (header, content) of every section of a 64-bit ELF file."""
    offset, size, count, names_at = *struct.unpack_from("<Q", cubin, 0x28), *struct.unpack_from("<HHH", cubin, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", cubin, offset + i * size) for i in range(count)]
    table = cubin[headers[names_at][4] :]

    def content(header: tuple) -> bytes:
        return b"" if header[1] == 8 else cubin[header[4] : header[4] + header[5]]

    return {table[h[0] : table.index(b"\0", h[0])].decode(): (h, content(h)) for h in headers}


def attributes(info: bytes) -> list[tuple[int, bytes]]:
    """The (code, value) pairs of a .nv.info section."""
    found, at = [], 0
    while at + 4 <= len(info):
        form, code, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == FORM_SIZED:
            found.append((code, info[at : at + size]))
            at += size
    return found


def resources(cubin: bytes, kernel: str) -> tuple[int, int]:
    """Registers and bytes of local memory of a kernel, from the file itself: no tool is needed."""
    about = attributes(sections(cubin)[".nv.info"][1])

    def values(wanted: int) -> list[int]:
        found = [struct.unpack("<II", v)[1] for code, v in about if code == wanted]
        if not found:
            raise RuntimeError(f"{kernel}: attribute {wanted:#x} is missing from the cubin")
        return found

    # A kernel that divides calls functions of the linker's, which have entries of their own: they use the kernel's
    # registers, and their stack lies beyond its own.
    return max(values(EIATTR_REGISTERS)), sum(values(EIATTR_FRAME_SIZE))


def parameters(cubin: bytes, kernel: str) -> list[int]:
    """The widths of a kernel's arguments in bits, in their order."""
    about = attributes(sections(cubin)[f".nv.info.{kernel}"][1])
    found = [struct.unpack("<IHHI", v) for code, v in about if code == EIATTR_PARAMETER]
    return [8 * (word >> 18) for _, _, _, word in sorted(found, key=lambda one: one[1])]


class Instruction(NamedTuple):
    """One instruction: its place in the code, opcode, and where it jumps to, if it does."""

    at: int
    opcode: str
    target: int | None


def disassemble(cubin: bytes) -> list[Instruction]:
    """Every instruction, without NOPs and the endless loop behind the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        text = subprocess.run([nvdisasm(), "-c", str(path)], capture_output=True, text=True, check=True).stdout
    labels: dict[str, int] = {}
    waiting, rows = [], []
    for line in text.splitlines():
        if label := LABEL.match(line):
            waiting.append(label[1])
        elif m := INSTRUCTION.match(line):
            labels.update(dict.fromkeys(waiting, int(m[1], 16)))
            waiting.clear()
            rows.append((int(m[1], 16), m[2], m[3]))
    found = []
    for at, opcode, operands in rows:
        jump = re.search(r"\((\.L_x_\d+)\)", operands)
        if opcode != "NOP":
            found.append(Instruction(at, opcode, labels.get(jump[1]) if jump else None))
    while found and found[-1].opcode == "BRA" and found[-1].target == found[-1].at:
        found.pop()
    return found


def loops(code: list[Instruction]) -> list[int]:
    """Instructions inside each loop: from a backward jump's target to the jump."""
    backward = [
        (i.target, i.at) for i in code if i.opcode.startswith("BRA") and i.target is not None and i.target < i.at
    ]
    return [sum(start <= i.at <= end for i in code) for start, end in backward]


def width(opcode: str) -> int:
    """Bits that a load or store moves."""
    parts = opcode.split(".")
    for bits in (128, 64):
        if str(bits) in parts:
            return bits
    return 8 if {"U8", "S8"} & set(parts) else 16 if {"U16", "S16"} & set(parts) else 32


def machine(cubin: bytes, kernel: str) -> Machine:
    """Everything about one kernel."""
    registers, frame = resources(cubin, kernel)
    code = disassemble(cubin)
    opcodes = Counter(i.opcode for i in code)
    loads = [width(o) for o in opcodes if o.startswith("LDG")]
    stores = [width(o) for o in opcodes if o.startswith("STG")]
    return Machine(registers, frame, len(code), opcodes, max(loads, default=0), max(stores, default=0), loops(code))


def divisions(m: Machine) -> list[str]:
    """The conversions with which 64-bit integer division begins."""
    return [o for o in m.opcodes if re.match(r"I2F\.[US]64\.RP", o)]


def doubles(m: Machine) -> list[str]:
    """Instructions of float64 arithmetic, conversions included."""
    return [o for o in m.opcodes if re.match(r"(D(ADD|MUL|FMA|SETP|MNMX)|MUFU\.RCP64)|[FI]2[FI].*\.F64|F2F.*F64", o)]
