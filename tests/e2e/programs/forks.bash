# What bash does by copies of itself.
cd /usr/share
diff <(seq 1 5) <(seq 2 6)
cat <(echo one; exit 3) <(cat <(echo two))
mapfile -t lines < <(seq 100 | grep 5); echo "${#lines[@]} ${lines[*]: -1}"
seq 1000 | sort -R | sort -n | tail -n 1; echo "${PIPESTATUS[@]}"
false | true | (exit 3) | true; echo "${PIPESTATUS[@]}"
set -o pipefail; (exit 4) | true; echo $?; set +o pipefail
coproc { while read -r line; do echo "coprocess: $line"; done; }
pid=$COPROC_PID
echo hello >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"
eval "exec ${COPROC[1]}>&-"; wait "$pid"; echo "ended with $?"
for i in {1..5}; do (exit $i) & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid"; echo -n "$? "; done; echo
(exit 5) & wait -n; echo "wait -n: $?"
wait; echo "$(jobs | wc -l) jobs"
echo "$BASH_SUBSHELL $(echo $BASH_SUBSHELL $(echo $BASH_SUBSHELL)) $([ $BASHPID = $$ ] && echo same || echo another)"
exec {fd}> >(tr a-z A-Z); pid=$!; echo "to a process" >&$fd; exec {fd}>&-; wait "$pid"
sleep 1000 & kill $!; wait $! 2>/dev/null; echo $?
f() { local x; x=$(echo "in f: $1"); echo "$x" | { read -r y; echo "<$y>"; }; }
f arg; shopt -s lastpipe; echo kept | read -r last; echo "$last"
seq 3 | while read -r n; do bash -c "echo $n; exit $n"; echo $?; done
cat <<< "$(for i in 1 2; do echo "line $i"; done)"
timeout 0.1 sleep 100; echo $?
trap 'echo "at the end $(echo of all)"' EXIT
exit 6
