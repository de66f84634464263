"""Minari's `main_data.hdf5`, a group of arrays for each episode, read and written quickly.

h5py takes about half a millisecond for each episode's group, whatever its length, so that a million
single steps take minutes. Here each kind of array is written once, whole, and the groups, which
differ by numbers alone, are one template with these numbers filled in. The format is HDF5's oldest
(version 0 of the superblock), which every version reads and can append to; field by field in
"HDF5 File Format Specification", version 3.0: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html

    superblock | root group: header, heap of names | E groups with their arrays' headers
    | B-tree over the names | the arrays: observations, actions, ...
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOWHERE = 2**64 - 1
LEAF_K, NODE_K = 32, 16
"""Half of the entries of a leaf and of a node of the B-tree."""
SUPERBLOCK, ROOT_HEADER, HEAP_HEADER = 96, 40, 32
PARTS = ("observations", "actions", "rewards", "terminations", "truncations")
CHUNK = 1 << 16
"""Episodes whose headers are written at once."""
DATASPACE, LINK_INFO, DATATYPE, FILL, LINK = 1, 2, 3, 5, 6
LAYOUT, GROUP_INFO, ATTRIBUTE, SYMBOL_TABLE = 8, 10, 12, 17
"""Types of messages in an object's header."""


def write(path: Path, arrays: Mapping[str, NDArray[Any]], lengths: NDArray[np.int64]) -> None:
    """Writes a file of E episodes.

    Args:
        path: The file.
        arrays: [N, ...], or [N + E, ...] with one row more than transitions in each episode, by
            their names in the group of an episode, such as `actions` or `observations/position`.
        lengths: [E], transitions of each episode; at least one each.
    """
    steps, episodes = int(lengths.sum()), len(lengths)
    episode = _Template()
    group = episode.episode(arrays)
    names = np.array([b"episode_%d" % number for number in range(episodes)])
    heap = _heap(names)
    heap_at = SUPERBLOCK + ROOT_HEADER
    first = heap_at + HEAP_HEADER + heap.size
    starts = first + len(episode.content) * np.arange(episodes)
    tree_at = first + len(episode.content) * episodes
    places = heap.shape[1] * np.arange(1, episodes + 1)
    tree, root = _tree(names, places, starts + group, tree_at)
    end = tree_at + len(tree)
    numbers = {episode.places["id"]: np.arange(episodes), episode.places["total_steps"]: lengths}
    for place, target in episode.links.items():
        numbers[place] = starts + target
    for name, array in arrays.items():
        rows = lengths + (len(array) - steps) // episodes
        size = array.nbytes // len(array)
        numbers[episode.places[f"{name} rows"]] = rows
        numbers[episode.places[f"{name} bytes"]] = rows * size
        numbers[episode.places[f"{name} address"]] = end + (np.cumsum(rows) - rows) * size
        end += array.nbytes
    with path.open("wb") as file:
        file.write(_superblock(root, end))
        file.write(_object([(SYMBOL_TABLE, struct.pack("<QQ", root, heap_at))])[0])
        file.write(b"HEAP" + struct.pack("<IQQQ", 0, heap.size, 1, heap_at + HEAP_HEADER))
        file.write(heap.data)
        for start in range(0, episodes, CHUNK):
            part = slice(start, start + CHUNK)
            count = len(lengths[part])
            records = np.tile(np.frombuffer(episode.content, np.uint8), (count, 1))
            for place, values in numbers.items():
                eight = values[part].astype("<u8").view(np.uint8)
                records[:, place : place + 8] = eight.reshape(count, 8)
            file.write(records.data)
        file.write(tree)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)


def read(path: Path, numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Episodes of any file of Minari's, without their infos.

    Observations and actions are as Minari stores them: an array, or a dictionary or tuple of such.
    By h5py's lower interface, which takes a quarter of the time of Minari's own reading.

    Raises:
        KeyError: an episode or a part of one is missing.
        OSError: the file is damaged.
    """
    import h5py

    with h5py.File(path, "r") as file:
        arrays = _Arrays()
        for number in numbers:
            group = b"episode_%d/" % number
            yield {name: arrays.stored(file.id, group + name.encode()) for name in PARTS}


class _Arrays:
    """Reads arrays, and remembers what their types are in numpy's terms."""

    def __init__(self) -> None:
        self._kinds: list[tuple[Any, np.dtype[Any], Any]] = []

    def stored(self, file: Any, name: bytes) -> Any:
        """An array, or a group of some as a dictionary or tuple."""
        from h5py import h5d, h5o

        item = h5o.open(file, name)
        if isinstance(item, h5d.DatasetID):
            return self._array(item)
        parts = {each: self.stored(file, name + b"/" + each) for each in item}
        if parts and all(each.startswith(b"_index_") for each in parts):
            return tuple(parts[b"_index_%d" % index] for index in range(len(parts)))
        return {each.decode(): part for each, part in parts.items()}

    def _array(self, item: Any) -> NDArray[Any]:
        from h5py import h5s

        kind, memory = self._kind(item.get_type(), item)
        array = np.empty(item.shape, kind)
        if array.size:
            item.read(h5s.ALL, h5s.ALL, array, memory)
        return array

    def _kind(self, stored: Any, item: Any) -> tuple[np.dtype[Any], Any]:
        from h5py import h5t

        for known, kind, memory in self._kinds:
            if known.equal(stored):
                return kind, memory
        self._kinds.append((stored, item.dtype, h5t.py_create(item.dtype)))
        return self._kinds[-1][1:]


class _Template:
    """The bytes of an episode's group and its arrays' headers, which differ by numbers alone."""

    def __init__(self) -> None:
        self.content = b""
        self.places: dict[str, int] = {}
        """Places of numbers of 8 bytes, by name."""
        self.links: dict[int, int] = {}
        """Places of addresses, and the places within the template to which they point."""

    def episode(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Adds the group of an episode and everything in it; returns its place."""
        outer: dict[str, int] = {}
        folders: dict[str, dict[str, int]] = {}
        for name, array in arrays.items():
            folder, _, leaf = name.rpartition("/")
            links = folders.setdefault(folder, {}) if folder else outer
            links[leaf] = self._array(name, array)
        for folder, links in folders.items():
            outer[folder] = self._group(links, ())
        return self._group(outer, ("id", "total_steps"))

    def _array(self, name: str, array: NDArray[Any]) -> int:
        sizes = (0, *array.shape[1:])
        place, (space, _, _, layout) = self._add(
            [
                (DATASPACE, struct.pack(f"<BB6x{len(sizes)}Q", 1, len(sizes), *sizes)),
                (DATATYPE, _datatype(array.dtype)),
                (FILL, struct.pack("<BBBBI", 2, 2, 2, 1, 0)),
                (LAYOUT, struct.pack("<BBQQ", 3, 1, 0, 0)),
            ]
        )
        self.places[f"{name} rows"] = space + 8
        self.places[f"{name} address"] = layout + 2
        self.places[f"{name} bytes"] = layout + 10
        return place

    def _group(self, links: Mapping[str, int], attributes: tuple[str, ...]) -> int:
        names = [name.encode() for name in links]
        values = [_attribute(name) for name in attributes]
        place, (_, _, *offsets) = self._add(
            [
                (LINK_INFO, struct.pack("<BBQQ", 0, 0, NOWHERE, NOWHERE)),
                (GROUP_INFO, struct.pack("<BB", 0, 0)),
                *((LINK, struct.pack("<BBB", 1, 0, len(name)) + name + bytes(8)) for name in names),
                *((ATTRIBUTE, value) for value in values),
            ]
        )
        for name, target, offset in zip(names, links.values(), offsets, strict=False):
            self.links[offset + 3 + len(name)] = target
        for attribute, value, offset in zip(attributes, values, offsets[len(names) :], strict=True):
            self.places[attribute] = offset + len(value) - 8
        return place

    def _add(self, messages: list[tuple[int, bytes]]) -> tuple[int, list[int]]:
        """Adds an object; returns its place and those of its messages' contents."""
        place = len(self.content)
        header, offsets = _object(messages)
        self.content += header
        return place, [place + offset for offset in offsets]


def _object(messages: list[tuple[int, bytes]]) -> tuple[bytes, list[int]]:
    """An object's header of version 1, and the places of its messages' contents in it."""
    body, offsets = b"", []
    for kind, content in messages:
        padded = content + bytes(-len(content) % 8)
        offsets.append(16 + len(body) + 8)
        body += struct.pack("<HHB3x", kind, len(padded), 0) + padded
    return struct.pack("<BBHII4x", 1, 0, len(messages), 1, len(body)) + body, offsets


def _heap(names: NDArray[Any]) -> NDArray[np.uint8]:
    """[E + 1, W], names that end with zeros; the first is empty."""
    width = -(-(names.dtype.itemsize + 1) // 8) * 8
    heap = np.zeros((len(names) + 1, width), np.uint8)
    heap[1:, : names.dtype.itemsize] = names.view(np.uint8).reshape(len(names), -1)
    return heap


def _datatype(kind: np.dtype[Any]) -> bytes:
    """HDF5 datatype message of a dtype, without the two-byte prefix that the library adds."""
    from h5py import h5t

    encoded: bytes = h5t.py_create(kind, logical=True).encode()
    return encoded[2:]


def _attribute(name: str) -> bytes:
    """A scalar int64; the last 8 bytes are its value."""
    own, kind = name.encode() + b"\x00", _datatype(np.dtype("<i8"))
    padded = b"".join(part + bytes(-len(part) % 8) for part in (own, kind))
    return struct.pack("<BBHHH", 1, 0, len(own), len(kind), 8) + padded + b"\x01" + bytes(15)


def _superblock(tree: int, end: int) -> bytes:
    return (
        b"\x89HDF\r\n\x1a\n"
        + struct.pack("<8B", 0, 0, 0, 0, 0, 8, 8, 0)
        + struct.pack("<HHI", LEAF_K, NODE_K, 0)
        + struct.pack("<QQQQ", 0, NOWHERE, end, NOWHERE)
        + struct.pack("<QQIIQQ", 0, SUPERBLOCK, 1, 0, tree, SUPERBLOCK + ROOT_HEADER)
    )


def _tree(
    names: NDArray[Any], places: NDArray[Any], targets: NDArray[Any], at: int
) -> tuple[bytes, int]:
    """The B-tree of a group's links, at an address of the file, and the address of its root.

    Args:
        names: [E].
        places: [E], of the names in the heap.
        targets: [E], addresses of the objects.
        at: Address at which the tree begins.
    """
    order = np.argsort(names)
    entries = np.zeros((len(order), 5), "<u8")
    entries[:, 0], entries[:, 1] = places[order], targets[order]
    content = bytearray()
    children, largest = [], []
    for start in range(0, len(order), 2 * LEAF_K):
        leaf = entries[start : start + 2 * LEAF_K]
        children.append(at + len(content))
        largest.append(int(leaf[-1, 0]))
        content += b"SNOD" + struct.pack("<BBH", 1, 0, len(leaf)) + leaf.tobytes()
        content += bytes(40 * (2 * LEAF_K - len(leaf)))
    level = 0
    while True:
        size = 24 + 8 * (4 * NODE_K + 1)
        groups = range(0, len(children), 2 * NODE_K)
        addresses = [at + len(content) + size * number for number in range(len(groups))]
        neighbours = [NOWHERE, *addresses, NOWHERE]
        for number, start in enumerate(groups):
            stop = min(start + 2 * NODE_K, len(children))
            keys = [largest[start - 1] if start else 0]
            for child, key in zip(children[start:stop], largest[start:stop], strict=True):
                keys += [child, key]
            node = b"TREE" + struct.pack("<BBH", 0, level, stop - start)
            node += struct.pack("<QQ", neighbours[number], neighbours[number + 2])
            node += struct.pack(f"<{len(keys)}Q", *keys)
            content += node + bytes(size - len(node))
        largest = [largest[min(start + 2 * NODE_K, len(children)) - 1] for start in groups]
        children, level = addresses, level + 1
        if len(children) == 1:
            return bytes(content), children[0]
