"""Writes numpy_elementwise.txt: dtypes and values that NumPy 2 gives for elementwise operations.

Types are NumPy characters (? bhil BHIL efd FD), numbers their bits in hexadecimal, complex numbers re:im.
  T <op> <first> <results for each second dtype; '-' where NumPy refuses>     (unary: one result for each dtype)
  V <dtype> <values>
  U <op> <dtype> <result dtype> <result for each value>
  B <op> <dtype> <result dtype> <result for each pair of values, first varying slowest; '-' where undefined>
"""
import warnings

import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")

TYPES = "?bhilBHILefdFD"
UNARY = """negative positive abs square reciprocal sign sqrt cbrt floor ceil trunc round exp exp2 expm1 log log2 log10
log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh isnan isinf isfinite signbit logical_not
bitwise_invert conj real imag angle""".split()
BINARY = """add subtract multiply divide floor_divide remainder pow atan2 hypot logaddexp copysign nextafter maximum
minimum equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor bitwise_and bitwise_or
bitwise_xor bitwise_left_shift bitwise_right_shift""".split()


def values(char):
    dtype = np.dtype(char)
    if char == "?":
        return np.array([False, True])
    if char in "bhil":
        i = np.iinfo(dtype)
        return np.array([0, 1, 2, 3, 7, -1, -2, -7, i.max, i.max - 1, i.min, i.min + 1], dtype)
    if char in "BHIL":
        i = np.iinfo(dtype)
        return np.array([0, 1, 2, 3, 7, i.max, i.max - 1, i.max // 2 + 1], dtype)
    if char in "efd":
        f = np.finfo(dtype)
        numbers = [0.0, -0.0, 1, -1, 0.5, 2.5, -3.5, np.inf, -np.inf, np.nan, f.max, f.smallest_subnormal, 0.1]
        return np.array(numbers, dtype)
    parts = [(1, 2), (-1.5, 0.5), (0.0, 0.0), (-0.0, -2), (3, 0.0), (0.25, -0.125), (-2, -0.0), (5, -7), (1e-3, 1e-4),
             (np.inf, 1), (0.5, -np.inf), (np.nan, 0.0), (2, np.nan)]
    return np.array([complex(a, b) for a, b in parts], dtype)


def bits(x):
    x = np.asarray(x)
    if x.dtype.char in "FD":
        return bits(x.real) + ":" + bits(x.imag)
    return "%x" % int.from_bytes(x.tobytes(), "little")


def call(name, *args):
    if name == "pow" and args[0].dtype.kind == "i" and (args[1] < 0).any():
        return None
    if name == "reciprocal" and args[0].dtype.kind in "bui" and (args[0] == 0).any():
        return None
    return getattr(np, name)(*args)


def result_type(function, *chars):
    try:
        return np.asarray(function(*[np.ones(2, c) for c in chars])).dtype.char.replace("q", "l").replace("Q", "L")
    except TypeError:
        return "-"


def main():
    out = open("numpy_elementwise.txt", "w")
    for name in UNARY:
        print("T", name, ".", "".join(result_type(getattr(np, name), t) for t in TYPES), file=out)
    table = {name: getattr(np, name) for name in BINARY}
    table["where"] = lambda a, b: np.where(np.ones(2, bool), a, b)
    table["clip"] = lambda a, b: np.clip(a, b, b)
    for name, function in table.items():
        for s in TYPES:
            print("T", name, s, "".join(result_type(function, s, t) for t in TYPES), file=out)
    for t in TYPES:
        print("V", t, *[bits(x) for x in values(t)], file=out)
    for name in UNARY:
        for t in TYPES:
            r = result_type(getattr(np, name), t)
            if r != "-":
                results = [call(name, values(t)[i:i + 1]) for i in range(len(values(t)))]
                print("U", name, t, r, *["-" if x is None else bits(x) for x in results], file=out)
    for name in BINARY:
        for t in TYPES:
            r = result_type(getattr(np, name), t, t)
            if r != "-":
                v = values(t)
                results = [call(name, v[i:i + 1], v[j:j + 1]) for i in range(len(v)) for j in range(len(v))]
                print("B", name, t, r, *["-" if x is None else bits(x) for x in results], file=out)


main()
