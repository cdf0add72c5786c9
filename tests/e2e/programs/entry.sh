#!/bin/sh
# As the images of servers start: looks around, prepares by commands and pipes, then becomes the program.
set -e
for name in $(env | sed -n 's/^INIT_\([A-Z]*\)=.*/\1/p' | sort); do
	value=$(eval "echo \$INIT_$name")
	echo "$name=$value" >>"$1"/settings
done
if [ -n "$(find "$1" ! -user "$(id -u)" -print -quit)" ]; then echo "somebody else's files"; fi
awk -F= '{ print tolower($1) "=" $2 }' "$1"/settings | sort >"$1"/conf
echo "prepared on Debian $(cut -d. -f1 </etc/debian_version)"
cat "$1"/conf
shift
exec "$@"
