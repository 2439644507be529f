"""What tells one fit from another: all of the data, the parameters, and the code."""

import functools
import hashlib
import sys
import types

import joblib
import numpy as np
import scipy
import sklearn
import torch

# Parameters that do not change what comes out, or not what it is worth.
OF_THE_MACHINE = ("checkpoint_dir", "device", "verbose")
# Whose releases change what comes out.
PACKAGES = (torch, np, scipy, sklearn)
PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice)
# What Python keeps of a class beside what its author gave it.
OF_PYTHON = {"__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"}
OF_PYTHON |= {"__annotations__", "__annotations_cache__", "__annotate_func__"}
# What torch keeps of a module beside what its author gave it.
OF_TORCH = {name for name in vars(torch.nn.Module()) if "hooks" not in name}
OF_TORCH -= {"_parameters", "_buffers", "_modules"}


def identify(estimator, data, device):
    """What tells one fit from another.

    Parameters
    ----------
    estimator : DEPICTClustering
    data : str
        The fingerprint of the samples.
    device : torch.device
        Random numbers of one kind of device mean nothing to another.

    Returns
    -------
    identity : str
    """
    from skdepict import __version__

    parameters = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if name not in OF_THE_MACHINE
    }
    versions = [__version__, *(package.__version__ for package in PACKAGES)]
    return fingerprint_of([versions, device.type, data, type(estimator), parameters])


def fingerprint_of(value):
    """A fingerprint of a value by what it holds and, of code, by what it does.

    :func:`joblib.hash` knows a function, and a class, by its name alone. Here it is
    asked for values only.

    Equal in each process for the same source; another one after any change of arrays,
    weights, attributes, or of the code of functions and classes that come from no
    installed package, and of those that they call by name.

    Parameters
    ----------
    value : object

    Returns
    -------
    fingerprint : str
    """
    fingerprint = _Fingerprint()
    fingerprint.add(value)
    return fingerprint.digest.hexdigest()


class _Fingerprint:
    def __init__(self):
        self.digest = hashlib.sha256()
        # With the objects: those made on the way must not share an address.
        self._seen = {}

    def add(self, value):
        """Add a value, and everything that it is made of."""
        if isinstance(value, np.generic):
            value = value.item() if value.dtype.kind in "buifcSU" else np.asarray(value)
        if isinstance(value, PLAIN):
            self._write(f"{type(value).__name__} {value!r}")
            return
        if id(value) in self._seen:
            self._write(f"again {self._seen[id(value)][0]}")
            return
        self._seen[id(value)] = (len(self._seen), value)
        self._write(f"{type(value).__module__}.{type(value).__qualname__}")
        self._add_parts(value)

    def _write(self, text):
        encoded = text.encode("utf-8", "surrogatepass")
        self.digest.update(len(encoded).to_bytes(8, "little") + encoded)

    def _add_parts(self, value):
        if isinstance(value, torch.Tensor):
            # As bytes: numpy lacks some types.
            flat = value.detach().cpu().contiguous().flatten()
            self._write(joblib.hash(flat.view(torch.uint8).numpy()))
            self._write(f"{value.dtype} {tuple(value.shape)}")
        elif isinstance(value, np.ndarray) and value.dtype.hasobject:
            self._add_all([value.shape, value.ravel().tolist()])
        elif isinstance(value, (list, tuple)):
            self._add_all(value)
        elif isinstance(value, (set, frozenset)):
            self._add_all(sorted(fingerprint_of(item) for item in value))
        elif isinstance(value, dict):
            self._add_all(value.items())
        elif isinstance(value, torch.Generator):
            self.add(value.get_state())
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, types.MethodType):
            self._add_all([value.__func__, value.__self__])
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, functools.cached_property):
            self.add(value.func)
        elif hasattr(value, "__wrapped__"):
            self.add(value.__wrapped__)
        elif isinstance(value, functools.partial):
            self._add_all([value.func, value.args, value.keywords])
        elif isinstance(value, types.CodeType):
            self._add_code(value)
        elif isinstance(value, torch.nn.Module):
            own = {k: v for k, v in vars(value).items() if k not in OF_TORCH}
            self._add_all([type(value), value.training, own])
        elif hasattr(value, "get_params"):
            self._add_all([type(value), value.get_params(deep=False)])
        elif isinstance(value, (types.ModuleType, types.BuiltinFunctionType)):
            self._write(value.__name__)
        else:
            self._add_object(value)

    def _add_all(self, values):
        self._write(f"{len(values)} parts")
        for value in values:
            self.add(value)

    def _add_class(self, kind):
        self._write(f"{kind.__module__}.{kind.__qualname__}")
        for base in kind.__mro__:
            if not _is_installed(base):
                self.add(
                    {
                        name: _unbound(value)
                        for name, value in sorted(vars(base).items())
                        # Neither made anew each time nor where the source lies.
                        if name not in OF_PYTHON and not name.startswith("_abc_")
                    }
                )

    def _add_function(self, function):
        self._write(f"{function.__module__}.{function.__qualname__}")
        if _is_installed(function):
            return
        code = function.__code__
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:  # Not filled yet.
                cells.append(None)
        called = {
            name: function.__globals__[name]
            for name in sorted(_names_in(code))
            if name in function.__globals__
        }
        for module in list(called.values()):
            # Functions of modules of the user's own, called by the module's name.
            if isinstance(module, types.ModuleType) and not _is_installed(module):
                called |= {
                    f"{module.__name__}.{name}": getattr(module, name)
                    for name in sorted(_names_in(code))
                    if hasattr(module, name)
                }
        self._add_all([code, function.__defaults__, function.__kwdefaults__, cells])
        self.add(called)

    def _add_code(self, code):
        # Not its name, file and lines: what it does stays the same where it is moved.
        self._add_all([code.co_code, code.co_consts, code.co_names, code.co_varnames])

    def _add_object(self, value):
        self.add(type(value))
        if hasattr(value, "__dict__") and not _is_installed(type(value)):
            self.add(vars(value))
            return
        try:
            self._write(joblib.hash(value))
        except Exception:  # whatever its own code raises
            self._write("an object that says nothing of what it holds")


def _names_in(code):
    """All names that code and the code in it look up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_in(constant)
    return names


def _unbound(value):
    """What a class holds as a function, whatever is wrapped around it."""
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    if isinstance(value, property):
        return [value.fget, value.fset]
    if isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
        return value.__name__
    return value


def _is_installed(kind):
    """Whether a class or function is Python's or of an installed package."""
    name = str(getattr(kind, "__module__", None) or getattr(kind, "__name__", ""))
    top = name.partition(".")[0]
    if top == "skdepict" or (top in sys.stdlib_module_names and top != "__main__"):
        return True
    path = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in path or "dist-packages" in path
