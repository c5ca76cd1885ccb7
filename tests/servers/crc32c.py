# SPDX-License-Identifier: Apache-2.0
"""CRC-32C by Intel's ISA-L where it is installed, by a table elsewhere."""
import ctypes
import ctypes.util


def _load_isal():
    name = ctypes.util.find_library("isal")
    if name is None:
        return None
    function = ctypes.CDLL(name).crc32_iscsi
    function.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_uint)
    function.restype = ctypes.c_uint
    return function


_isal = _load_isal()
_table = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _table.append(_byte)


def crc32c(data, before=0):
    """The CRC-32C of what `before` is the CRC-32C of, followed by `data` (at most 2 GiB)."""
    state = before ^ 0xFFFFFFFF
    if _isal is not None:
        state = _isal(bytes(data), len(data), state)
    else:
        for byte in data:
            state = state >> 8 ^ _table[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283
