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
# What counts of code, and of what is wrapped around it. Not the name of code, its file
# and lines: what it does stays the same where it is moved.
PARTS = {
    types.CodeType: ("co_code", "co_consts", "co_names", "co_varnames"),
    types.MethodType: ("__func__", "__self__"),
    property: ("fget", "fset"),
    functools.cached_property: ("func",),
    functools.partial: ("func", "args", "keywords"),
    types.ModuleType: ("__name__",),
    types.BuiltinFunctionType: ("__name__",),
    types.MemberDescriptorType: ("__name__",),
    types.GetSetDescriptorType: ("__name__",),
}
# What Python keeps of a class beside what its author gave it.
OF_PYTHON = {"__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"}
OF_PYTHON |= {"__annotations__", "__annotations_cache__", "__annotate_func__"}
# What torch keeps of a module beside what its author gave it.
OF_TORCH = {name for name in vars(torch.nn.Module()) if "hooks" not in name}
OF_TORCH -= {"_parameters", "_buffers", "_modules", "training"}


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
    digest = hashlib.sha256()
    _add(value, digest, {})
    return digest.hexdigest()


def _add(value, digest, seen):
    """Add a value to a digest, and everything that it is made of."""
    if isinstance(value, np.generic):
        value = value.item() if value.dtype.kind in "buifcSU" else np.asarray(value)
    parts = []
    if isinstance(value, PLAIN):
        text = f"{type(value).__name__} {value!r}"
    elif id(value) in seen:
        text = f"again {seen[id(value)][0]}"
    else:
        # With the object: those made on the way must not share an address.
        seen[id(value)] = (len(seen), value)
        parts = _parts_of(value)
        text = f"{_name_of(type(value))} of {len(parts)} parts"
    encoded = text.encode("utf-8", "surrogatepass")
    digest.update(len(encoded).to_bytes(8, "little") + encoded)
    for part in parts:
        _add(part, digest, seen)


def _parts_of(value):
    """What a value is made of: values that are plain in the end."""
    match value:
        case torch.Tensor():
            # As bytes: numpy lacks some types.
            flat = value.detach().cpu().contiguous().flatten()
            content = joblib.hash(flat.view(torch.uint8).numpy())
            return [content, str(value.dtype), tuple(value.shape)]
        case np.ndarray() if value.dtype.hasobject:
            return [value.shape, value.ravel().tolist()]
        case list() | tuple():
            return value
        case set() | frozenset():
            return sorted(map(fingerprint_of, value))
        case dict():
            return list(value.items())
        case torch.Generator():
            return [value.get_state()]
        case torch.nn.Module():
            own = {k: v for k, v in vars(value).items() if k not in OF_TORCH}
            return [type(value), own]
        case types.CellType():
            # An empty one equals none that is filled.
            return [] if value == types.CellType() else [value.cell_contents]
        case type():
            return _parts_of_class(value)
        case types.FunctionType():
            return _parts_of_function(value)
    for kind, names in PARTS.items():
        if isinstance(value, kind):
            return [getattr(value, name) for name in names]
    if hasattr(value, "__wrapped__"):
        return [value.__wrapped__]
    if hasattr(value, "get_params"):
        return [type(value), value.get_params(deep=False)]
    if hasattr(value, "__dict__") and not _is_installed(type(value)):
        return [type(value), vars(value)]
    try:
        return [type(value), joblib.hash(value)]
    except Exception:  # whatever its own code raises
        return [type(value), "an object that says nothing of what it holds"]


def _parts_of_class(kind):
    return [_name_of(kind)] + [
        {
            name: value
            for name, value in sorted(vars(base).items())
            # Neither made anew each time nor where the source lies.
            if name not in OF_PYTHON and not name.startswith("_abc_")
        }
        for base in kind.__mro__
        if not _is_installed(base)
    ]


def _parts_of_function(function):
    if _is_installed(function):
        return [_name_of(function)]
    names = sorted(_names_in(function.__code__))
    # Also those of modules of the user's own, which are called by the module's name.
    places = {"": function.__globals__}
    for name in names:
        module = function.__globals__.get(name)
        if isinstance(module, types.ModuleType) and not _is_installed(module):
            places[module.__name__] = vars(module)
    called = [
        (place, name, known[name])
        for place, known in places.items()
        for name in names
        if name in known
    ]
    return [
        *(_name_of(function), function.__code__, function.__closure__, called),
        *(function.__defaults__, function.__kwdefaults__),
    ]


def _names_in(code):
    """All names that code and the code in it look up."""
    inner = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


def _name_of(value):
    return f"{value.__module__}.{value.__qualname__}"


def _is_installed(kind):
    """Whether a class or function is Python's or of an installed package."""
    name = str(getattr(kind, "__module__", None) or getattr(kind, "__name__", ""))
    top = name.partition(".")[0]
    if top == "skdepict" or (top in sys.stdlib_module_names and top != "__main__"):
        return True
    # The user's, whatever program runs it.
    if name == "__main__":
        return False
    path = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in path or "dist-packages" in path
