-- Loops that luajit compiles, strings, a sort, and callbacks from C.
local ffi = require "ffi"
ffi.cdef [[ void qsort(void *, size_t, size_t, int (*)(const void *, const void *)); ]]

local sum = 0
for i = 1, 2e7 do sum = sum + i % 7 end
print(sum)
local t = {}
for i = 1, 200000 do t[i] = ("%d"):format(i * 3) end
table.sort(t)
print(#t, t[1], t[#t])
local a = ffi.new("int[1000]")
for i = 0, 999 do a[i] = i * 7919 % 1000 end
local compare = ffi.cast("int (*)(const void *, const void *)", function(x, y)
	return ffi.cast("const int *", x)[0] - ffi.cast("const int *", y)[0]
end)
ffi.C.qsort(a, 1000, 4, compare)
print(a[0], a[500], a[999])
