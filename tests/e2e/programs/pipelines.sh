# What a shell needs copies of itself for: pipelines, substitution, subshells, commands in the background.
cd "$1" || exit 1
seq 1000 | sort -rn | head -3 | tr 0-9 a-j
x=$(echo a; echo b; exit 3)
echo "$? $x"
(cd /; pwd; y=inner; exit 5)
echo "$? ${y-unset}"
seq 20000 > numbers
for i in 1 2 3; do
	(grep -c "$i" numbers > "count$i") &
done
wait
cat count1 count2 count3
sleep 1000 &
kill $!
wait $! 2>/dev/null # says so on standard error, unless the job's end was heard before
echo "killed $?"
{ echo first; echo second; } | while read -r line; do echo "read $line"; done
yes | head -2
false | true
echo "last counts $?"
cat <<END | sort
$(echo z)
a
END
f() { echo "in a function $1" | cat; }
f "$(f x | tr a-z A-Z)"
n=0
while [ $n -lt 30 ]; do
	n=$(expr $n + 1)
done
echo $n
tar cf - numbers count1 | (mkdir unpacked && cd unpacked && tar xf -)
cmp numbers unpacked/numbers && ls unpacked
git init -q repository 2>/dev/null && cd repository && git -c user.name=a -c user.email=a@b -c gc.auto=0 commit -q --allow-empty -m first && git log --format=%s | cat
