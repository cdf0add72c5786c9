-- Strings, tables, coroutines, files.
local t = {}
for i = 1, 100000 do t[#t + 1] = string.format("%x", i * i) end
table.sort(t)
print(#t, t[1], t[#t])
local producer = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
print(producer(), producer(), producer())
print(("key = value"):match("(%w+)%s*=%s*(%w+)"), math.maxinteger, 7 // 2, 2 ^ 0.5)
for line in io.lines("/etc/services") do
	if line:find("^ssh") then print(line) end
end
print(pcall(error, "caught"))
