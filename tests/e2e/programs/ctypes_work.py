"""Callbacks from C into Python: libffi closures. Trampolines of libffi's own, and 500 of them at once."""
import ctypes

libc = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 1000)(*[i * 7919 % 1000 for i in range(1000)])
closures = [COMPARE(lambda x, y, sign=sign: sign * (x[0] - y[0])) for sign in (1, -1) for _ in range(250)]
for closure in closures[240:260]:
    libc.qsort(numbers, 1000, 4, closure)
    print(numbers[0], numbers[500], numbers[999])
