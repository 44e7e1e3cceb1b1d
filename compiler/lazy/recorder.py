"""The recorder of lazy arrays: nodes that have a value, or can be given one at any time.

Unlike a trace's recorder it keeps no list of nodes: arrays hold their nodes, and what nobody holds any more is gone. There is one recorder a
device, shared by all threads.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.graph import NO_PARAMS, Location, Node, Params, constant, evaluate_node
from numfuse.compiler.lazy.evaluation import run
from numfuse.compiler.lazy.host import HostCall, as_given, to_host
from numfuse.compiler.lazy.nodes import LazyNode
from numfuse.compiler.ops import operator
from numfuse.compiler.trace.array import Array, Storage, fresh
from numfuse.compiler.trace.entry import Call, method
from numfuse.compiler.trace.errors import UnsupportedFunction, at_line, telling_the_line, user_location
from numfuse.compiler.trace.recorder import Recorder, is_temporary
from numfuse.compiler.types import Shape, supported
from numfuse.compiler.views import view_through
from numfuse.runtime.cuda.array import DeviceArray
from numfuse.runtime.devices import default_target

LONGEST = 128
"""Operations in a row that wait to be run, at most. Within a loop the cut comes at the same line each time, so that the same graph comes again."""
REFUSALS = (TypeError, ValueError, IndexError, OverflowError, AttributeError, RuntimeError)
"""What tracing raises for what it does not support and for what is wrong: NumPy knows which it is."""


class _Forgetful(dict[Any, Any]):
    """What a trace may remember of its nodes, and lazy arrays may not: they have no end."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


_numbers = itertools.count()


class LazyRecorder(Recorder):
    """Records the operations on the lazy arrays of one device (`cpu`, `cuda` or `cudasim`)."""

    def __init__(self, device: str) -> None:
        super().__init__("lazy")
        self.device = device
        self.lazy = self
        self.places = _Forgetful()
        self.lock = threading.RLock()
        self._cuts: set[Location] = set()
        self._detached: weakref.WeakKeyDictionary[Storage, weakref.WeakSet[Storage]] = weakref.WeakKeyDictionary()

    def temporary(self, mask: np.ndarray) -> bool:
        """There is no end at which it could be asked."""
        return is_temporary(mask)

    # -- recording ---------------------------------------------------------------------------------------------------

    def emit(
        self, op: str, inputs: tuple[Node, ...], shape: Shape, dtype: np.dtype, params: Params = NO_PARAMS
    ) -> Node:
        where = user_location()
        node = LazyNode(op, inputs, params, shape, dtype, where)
        node.number = next(_numbers)
        node.depth = 1 + max([source.depth for source in inputs], default=0)  # type: ignore[attr-defined]
        if op == "get":
            node.become(inputs[0].value[params["result"]])  # type: ignore[attr-defined]
        elif _has_errors_of_its_own(op):
            self._at_once(node)
        elif node.depth > LONGEST // 2 and where is not None and (node.depth > LONGEST or where in self._cuts):
            self._cuts.add(where)
            self.evaluate([node])
        return node

    def constant(self, value: Any, dtype: np.dtype) -> Node:
        made = constant(dtype.type(value))
        return LazyNode("constant", (), made.params, (), dtype)

    def constant_array(self, value: Any) -> Node:
        return self.given(np.array(value, order="C"))

    def hold(self, array: np.ndarray) -> Node:
        """A copy: what is written to `array` later does not change what was recorded before."""
        return self.given(np.array(array, dtype=supported(array.dtype), order="C"))

    def given(self, data: Any) -> LazyNode:
        """The node of an array (of this device) that nobody writes to any more."""
        node = LazyNode("input", (), NO_PARAMS, data.shape, supported(data.dtype))
        node.value = self.placed(data)
        return node

    def placed(self, data: Any) -> Any:
        """`data` in this device's memory."""
        if self.device in ("cpu", "cudasim") or isinstance(data, DeviceArray):
            return data
        return DeviceArray.from_host(_gpu(), data)

    def kept(self, storage: Storage) -> None:
        if isinstance(storage.value, LazyNode):  # not a Python number
            storage.value.holder = weakref.ref(storage)

    def written(self, storage: Storage) -> None:
        if self._detached.get(storage):
            raise UnsupportedFunction(
                "this array is written to while a view of it lives that NumPy made, which would not see it; make that view a copy"
            )

    def detached(self, view: Storage, storages: Sequence[Storage]) -> None:
        """`view` shows what `storages` held, as a view that NumPy made: as long as it lives, neither may be written to."""
        view.captured = True
        for storage in storages:
            self._detached.setdefault(storage, weakref.WeakSet()).add(view)

    def _at_once(self, node: LazyNode) -> None:
        inputs = [to_host(value) for value in self.evaluate(node.inputs)]
        with np.errstate(all="ignore"):
            made = telling_the_line(evaluate_node, node.where)(node, inputs)
        if made.dtype == object:  # several results
            node.become(tuple([self.placed(np.asarray(result)) for result in made[()]]))
        else:
            node.become(self.placed(made))

    def checked(self, flag: Node, subject: Node, error: Callable[[np.ndarray], Exception]) -> None:
        """Raises `error` at once where `flag` is true: an index outside an array, say."""
        if to_host(self.evaluate([flag])[0]):
            raise error(to_host(self.evaluate([subject])[0]))

    # -- values ------------------------------------------------------------------------------------------------------

    def evaluate(self, nodes: Sequence[Node]) -> list[Any]:
        """The nodes' values: ndarrays, or device arrays. What they have in common is computed once."""
        with self.lock:
            waiting: list[Any] = [node for node in nodes if node.op != "constant" and node.value is None]  # type: ignore[attr-defined]
            run(self.device, waiting, self.placed)
        return [node.params["value"] if node.op == "constant" else node.value for node in nodes]  # type: ignore[attr-defined]

    def known(self, node: Node) -> np.ndarray:
        """The value of a node, as a trace may know it of what is computed from constants alone."""
        return to_host(self.evaluate([node])[0])

    def data(self, arrays: Sequence[Array]) -> list[Any]:
        """The arrays' contents, each as a view of its storage's; not to be written to."""
        gathered = [any(op == "gather" for op, _ in array.steps) for array in arrays]
        nodes = [array.node if copied else array.storage.value for array, copied in zip(arrays, gathered, strict=True)]
        return [
            root if copied else view_through(root, array.steps)
            for root, array, copied in zip(self.evaluate(nodes), arrays, gathered, strict=True)
        ]

    def value(self, array: Array) -> Any:
        """What NumPy would have in place of `array`: a scalar, or an ndarray (one that cannot be written to)."""
        return as_given(array, self.data([array])[0])

    def knows(self, array: Array) -> bool:
        """Whether its contents are computed already."""
        return array.storage.value.value is not None  # type: ignore[attr-defined]

    def element(self, array: Array, place: int) -> Array:
        return self.wrapped(self.value(array)[place])

    def elements(self, array: Array) -> list[Array]:
        return [self.wrapped(element) for element in self.value(array)]

    def rebuilding(self, value: Any) -> tuple[Any, ...]:
        """How pickle makes a lazy array of `value` again."""
        from numfuse.compiler.lazy.create import of

        return of, (value,)

    # -- what NumPy does ---------------------------------------------------------------------------------------------

    def answer(self, recorded: Callable[[], Any], call: Call) -> Any:
        """What `recorded` gives, or where tracing refuses, what NumPy's `call` gives."""
        try:
            made = recorded()
        except RecursionError:
            raise
        except REFUSALS as error:
            return self.on_host(*call, str(error))
        if type(made) is not Array:
            return self.lifted(made, call)
        return made if made.weak is None else self.value(made)  # np.allclose and its kin give Python's bools

    def on_host(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], reason: str | None = None
    ) -> Any:
        """NumPy's `function` on the values of the arguments; its results are lazy arrays. Writes reach the arguments.

        `reason`: why it is not recorded, where that would be expected.
        """
        return HostCall(self, function, reason).run(args, kwargs)

    def lifted(self, made: Any, call: Call) -> Any:
        """What NumPy's `call` made of lazy arrays, with lazy arrays in place of NumPy's."""
        return HostCall(self, call[0], None).lifted(made, call[1:])

    def attribute(self, array: Array, name: str) -> Any:
        """An attribute that traced arrays lack."""
        from numfuse.compiler.lazy.standard import ATTRIBUTES

        if name in ATTRIBUTES:
            return ATTRIBUTES[name](array)
        if name in ("resize", "setflags"):
            return _without_memory(name)
        value = np.generic if array.scalar else np.ndarray
        if name.startswith("__") or not hasattr(value, name):
            raise AttributeError(f"{value.__name__!r} object has no attribute {name!r}{at_line(user_location())}")
        if callable(getattr(value, name)):
            return lambda *args, **kwargs: self.on_host(method(name), (array, *args), kwargs, "")
        return self.on_host(getattr, (array, name), {}, f"ndarray.{name}")

    def wrapped(self, value: Any) -> Array:
        """A lazy array of an ndarray that nobody else holds, or of a NumPy scalar."""
        if isinstance(value, np.generic):
            return fresh(self, self.constant(value, supported(value.dtype)), scalar=True)
        if not value.dtype.isnative or value.base is not None:
            return fresh(self, self.hold(value))
        array = fresh(self, self.given(value))
        if not value.flags.c_contiguous:
            array.element_strides = tuple([stride // value.itemsize for stride in value.strides])
        return array


def _without_memory(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunction(
            f"ndarray.{name} is not supported: a lazy array has no memory of its own{at_line(user_location())}"
        )

    return refuse


def _has_errors_of_its_own(op: str) -> bool:
    """Whether it is a library call that may fail (a singular matrix): then it is made at once, as NumPy does."""
    row = operator(op)
    return row.kind == "library" and not isinstance(row.reference, np.ufunc)


def _gpu() -> Any:
    from numfuse.runtime.cuda.gpu import gpu

    return gpu()


_recorders: dict[str, LazyRecorder] = {}


def recorder_of(device: str | None = None) -> LazyRecorder:
    """The recorder of a device: `cpu`, `cuda`, `cudasim`; None or `auto` for the default one."""
    name = default_target() if device in (None, "auto") else str(device)
    if name not in ("cpu", "cuda", "cudasim"):
        raise ValueError(f"unknown device {device!r}; the devices are cpu, cuda and cudasim")
    return _recorders.setdefault(name, LazyRecorder(name)) if name not in _recorders else _recorders[name]


def evaluate(*arrays: Any) -> Any:
    """Computes lazy arrays together, so that what they have in common is computed once, and returns them.

    Whatever else is left of their computation is computed with them. Anything that is not a lazy array is let be.
    """
    together: dict[Any, list[Array]] = {}
    for array in arrays:
        if isinstance(array, Array) and array.recorder.lazy is not None:
            together.setdefault(array.recorder, []).append(array)
    for recorder, lazy in together.items():
        recorder.lazy.evaluate([array.storage.value for array in lazy])
    return arrays[0] if len(arrays) == 1 else arrays
