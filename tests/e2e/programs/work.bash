# What bash does without another process.
a=(1 2 3); declare -A m=([x]=1 [y]=2)
for i in {1..100}; do ((s += i)); done
echo $s "${a[@]}" "${#m[@]}" ${a[-1]} "${a[@]:1:2}"
printf '%05d %q\n' 42 'two words'
[[ abc =~ b(.) ]] && echo "${BASH_REMATCH[1]}"
while read -r line; do ((n++)); done </etc/services
echo $n ${PATH:+set} "${HOME:-none}"
f() { local x=$1; echo "in f: $x"; return 3; }
f arg || echo "status $?"
case word in w*) echo matched ;; esac
mapfile -t lines </etc/services; echo "${#lines[@]}"
read -r a b <<<"here string"; echo "$b $a"
trap 'echo at the end' EXIT
text=$'a\tb'; echo "${text//b/c}" "${text^^}"
exit 5
