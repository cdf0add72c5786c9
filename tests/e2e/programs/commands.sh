# What a shell does that needs no copy of itself: commands one after another, redirections, loops, conditions, traps, exec.
set -u
where=$1
cd /usr/share
ls -d perl
/bin/echo to a file > "$where"/one
/bin/echo 'and more' >> "$where"/one
wc -l < "$where"/one
n=0
while read -r line; do
	n=$((n + 1))
	/bin/echo "$n: $line"
done < "$where"/one
for i in 1 2 3; do
	env NUMBER=$i sh -c 'echo "child $NUMBER of $0"; exit $NUMBER' sh
	echo "status $?"
done
if grep -q more "$where"/one; then echo found; fi
grep -q less "$where"/one || echo "not found: $?"
test -s "$where"/one && [ ! -e "$where"/none ] && echo tests
sort -r <<END
first
second
END
sh -c 'kill -TERM $$'
echo "killed: $?"
/nonexistent/command 2>/dev/null
echo "no such command: $?"
no-such-command 2>/dev/null
echo "not in PATH: $?"
/etc/passwd 2>/dev/null
echo "not executable: $?"
cat > "$where"/script <<'END'
echo "a script without its interpreter's name: $1"
exit 5
END
chmod 755 "$where"/script
"$where"/script word
echo "status $?"
work() {
	/bin/echo "in a function: $1"
	return 4
}
work argument
echo "returned $?"
umask 077
env touch "$where"/private
stat -c %a "$where"/private
trap 'echo trapped' USR1
kill -USR1 $$
sh -c "kill -USR1 $$"
cd /
rm -f "$where"/one "$where"/script "$where"/private
trap '/bin/echo at the end' EXIT
nice -n 3 /bin/echo nice
nohup sh -c 'echo no hangup' 2>/dev/null
seq 3 > "$where"/numbers
tac "$where"/numbers
rm "$where"/numbers
exit 3
