create database d;
use d;
create table t (a int primary key, b varchar(20)) engine=innodb;
insert into t select seq, concat('row ', seq) from seq_1_to_10000;
start transaction;
delete from t where a % 3 = 0;
rollback;
select count(*), sum(a), max(b) from t;
show create table t;
