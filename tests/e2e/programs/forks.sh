# What a shell does by copies of itself: pipelines, command substitution, subshells, jobs, traps, here documents that are computed.
set -u
where=$1
cd /usr/share
echo "$(ls -d perl) and $(printf '%s' "$(echo nested "$(echo deeper)")")"
seq 1000 | grep 7 | sed 's/7/<&>/g' | sort -rn | head -n 5
yes | head -n 20000 | wc -l
seq 5 | while read -r n; do
	echo "line $n: $(expr "$n" '*' "$n")"
done
x=outer
(x=inner; cd /; echo "$x $(pwd)"; exit 3)
echo "status $? of a subshell, $x $(pwd)"
fifo=$(mktemp -d)/fifo
mkfifo "$fifo"
{ read -r go <"$fifo"; echo second >>"$where"/order; exit 4; } &
first=$!
{ echo first >>"$where"/order; exit 5; } &
wait $!
echo "status $?"
echo go >"$fifo"
wait $first
echo "status $?"
cat "$where"/order
sleep 1000 &
kill $!
wait $! 2>/dev/null # says so on standard error, unless the job's end was heard before
echo "status of a killed job: $?"
for i in 1 2 3 4; do
	(echo "job $i" >"$where"/job$i) &
done
wait
cat "$where"/job?
cat <<END | tr a-z A-Z
computed: $(echo text; echo more)
$((6 * 7))
END
trap 'echo trapped' USR1
(kill -USR1 $$)
echo "after the trap"
(trap 'echo a trap of the subshell; exit 6' TERM; kill -TERM "$(sh -c 'echo $PPID')"; echo never)
echo "status $?"
(trap 'echo the end of a subshell' EXIT; false) || echo "false in a subshell"
turned() {
	while read -r a b; do echo "$b $a"; done
}
printf '1 one\n2 two\n' | turned | sort
echo "status of a pipeline: $(false | true; echo $?) $(true | false; echo $?)"
(echo "by a fifo" >"$fifo") &
cat "$fifo"
wait
rm -r "${fifo%/*}"
exec 3<"$where"/order
(read -r a <&3; echo "$a")
read -r a <&3
echo "the offset is shared: $a"
sh -c 'echo a child; (echo its child; exit 7); exit $?'
echo "status $?"
a=$(cd /; pwd; exit 9) || echo "$a $?"
i=0
while [ $i -lt 50 ]; do
	i=$(($(echo $i) + 1))
done
echo $i
trap 'echo "at the end $(echo of all)"' EXIT
exit 8
