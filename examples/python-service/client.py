"""Calls a C service in another cVM through libcvm.so: no wrapper but ctypes."""
import ctypes
import errno
import os
import time

cvm = ctypes.CDLL("/sdk/libcvm.so.0")
LOAD, USE, GRANT, FOREVER = 1, 4, 8, ctypes.c_int64(-1)


class Message(ctypes.Structure):  # struct cp_message of cvm/call.h
    _fields_ = [("word", ctypes.c_uint64 * 6), ("cap", ctypes.c_int * 4), ("caps", ctypes.c_uint), ("timeout_ns", ctypes.c_int64)]


def checked(result):
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def open_call(name):
    while (call := cvm.cp_call_open(name, USE)) == -errno.ENOENT:  # the service is not there yet
        time.sleep(0.001)
    return checked(call)


def count(call, text):
    """The service reads `text` where it lies, for the time of the call."""
    data = ctypes.create_string_buffer(text, len(text))
    cap = checked(cvm.cp_memory(data, ctypes.c_size_t(len(text)), LOAD | GRANT))
    message = Message(timeout_ns=1_000_000_000, caps=1)
    message.word[0], message.cap[0] = len(text), cap
    try:
        checked(cvm.cp_call_message(call, ctypes.byref(message)))
    finally:
        cvm.cp_close(cap)
    return tuple(message.word[:3])


service = open_call(b"count")
checked(cvm.cp_call_ready(service, FOREVER))
for text in (b"to be or not to be\n", b"one\ntwo\nthree\n" * 1000):
    print("%d lines, %d words, %d bytes" % count(service, text))
checked(cvm.cp_call(service, (ctypes.c_uint64 * 6)()))  # no capability: the service ends
