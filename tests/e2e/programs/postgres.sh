#!/bin/sh
# What PostgreSQL's programs say, natively as in a cVM. usage: postgres.sh DIRECTORY PORT
set -eu
PATH=/usr/lib/postgresql/15/bin:$PATH
PGHOST=$(mktemp -d /tmp/postgres.XXXXXX) # host volumes have no Unix sockets
export LC_ALL=C PGHOST PGPORT="$2" PGUSER=postgres PGDATABASE=postgres TZ=UTC
cd "$1"
initdb -D db -A trust -U postgres -N --no-instructions -E UTF8 --locale C >initdb.log 2>&1 || { cat initdb.log; exit 1; }
trap 'pg_ctl -D db -m immediate stop >/dev/null 2>&1 || true; rm -rf "$PGHOST"' EXIT
start() {
	pg_ctl -D db -l log -w -o "-k $PGHOST -p $PGPORT -c listen_addresses= -c fsync=off $1" start >pg_ctl.log 2>&1 || { cat pg_ctl.log log; exit 1; }
}
query() {
	psql -XAt -v ON_ERROR_STOP=1 "$@"
}

for dsm in posix sysv; do
	start "-c dynamic_shared_memory_type=$dsm"
	query <<-END
		show dynamic_shared_memory_type;
		create table t(a int primary key, b text, c numeric);
		insert into t select i, md5(i::text), i * 1.5 from generate_series(1, 20000) i;
		create index on t(b);
		update t set c = c + 1 where a % 3 = 0;
		delete from t where a > 19990;
		insert into t select i, md5(i::text), 0 from generate_series(19991, 20000) i;
		vacuum analyze t;
		select count(*), sum(a), max(b), sum(c) from t;
		set parallel_setup_cost = 0;
		set parallel_tuple_cost = 0;
		set min_parallel_table_scan_size = 0;
		explain (analyze, costs off, timing off, summary off, buffers off) select count(*) from t where b like '%ab%';
		select sum(a), count(*) from t group by a % 7 order by 1;
		begin; update t set c = 0; rollback;
		vacuum full t;
		select sum(c) from t;
		listen x; notify x, 'heard';
	END
	query -c 'select 1 / 0' 2>&1 || echo "status $?"
	[ $dsm = sysv ] || query -c 'drop table t'
	pg_ctl -D db -w -m fast stop >/dev/null
done | sed -e 's/process with PID [0-9]*/process/' -e 's/rows=[0-9]* loops/rows=some loops/' -e 's/Rows Removed by Filter: .*/filtered/'

start ""
pgbench -i -q -s 1 2>&1 | grep -c done
pgbench -n -c 2 -t 20 2>/dev/null | grep processed
query -c 'select sum(tbalance) = (select sum(bbalance) from pgbench_branches), (select count(*) from pgbench_history) from pgbench_tellers'
createdb copy
pg_dump | psql -Xq copy >/dev/null
query copy -c 'select count(*), sum(a), sum(c) from t' -c 'select count(*) from pgbench_accounts'
pg_dump -s | grep -vE '^--|^$|restrict' | sha256sum
pg_ctl -D db -w -m smart stop >/dev/null
echo stopped
