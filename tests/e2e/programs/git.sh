# A repository by git and its children: commits, branches, hooks, clones, repacking, checking.
set -eu
cd "$1"
export HOME="$1" GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='1234567890 +0000' GIT_COMMITTER_DATE='1234567890 +0000' GIT_PAGER=cat
git init -q -b main repository
cd repository
for i in 1 2 3; do
	seq $i 2000 >file$i
	git add file$i
	git commit -q -m "commit $i"
done
printf '#!/bin/sh\necho the hook runs\n' >.git/hooks/pre-commit
chmod 755 .git/hooks/pre-commit
git checkout -q -b side
echo side >side
git add side
git commit -q -m 'on the side' 2>&1
git checkout -q main
echo main >main
git add .
git commit -q -m 'on main' 2>&1
git merge -q --no-edit side 2>&1
git log --oneline --graph --stat
git gc -q
git fsck --no-progress --full
git count-objects -v | grep -E 'in-pack|packs|garbage'
git clone -q . ../clone
cd ../clone
echo more >>file1
git commit -q -a -m 'in the clone'
git push -q origin HEAD:refs/heads/pushed
cd ../repository
git rev-parse pushed main
git archive main | tar t
git format-patch -q --stdout main~2..main | grep -c '^From '
git bisect start main main~3 >/dev/null 2>&1
git bisect run sh -c 'test ! -e main' | grep 'first bad'
