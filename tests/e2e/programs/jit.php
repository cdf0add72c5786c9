<?php
// opcache's JIT and pcre2's: sums in a loop, and patterns over a long text.
$s = 0;
for ($i = 0; $i < 3000000; $i++)
	$s += $i % 7;
echo $s, "\n", preg_match_all('/(\w+)@(\w+)/', str_repeat("user@host, ", 5000)), "\n";
echo preg_replace_callback('/\d+/', fn($m) => $m[0] * 2, "1 22 333"), "\n";
var_dump(opcache_get_status()["jit"]["on"]);
