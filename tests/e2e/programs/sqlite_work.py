"""sqlite3: a database file with several connections, transactions and rollback."""
import os
import sqlite3
import tempfile

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "t.db")
    one, two = sqlite3.connect(path), sqlite3.connect(path, timeout=0.1)
    one.execute("create table t(k integer primary key, v text)")
    with one:
        one.executemany("insert into t values(?, ?)", ((i, f"value {i * i % 1009}") for i in range(50000)))
    print(two.execute("select count(*), min(v), max(v) from t").fetchone())
    one.execute("begin immediate")
    one.execute("delete from t where k < 1000")
    try:
        two.execute("insert into t values(-1, 'x')")
    except sqlite3.OperationalError as error:
        print(error)
    one.rollback()
    print(two.execute("select count(*) from t where v like 'value 1%'").fetchone())
    print(two.execute("pragma integrity_check").fetchone())
    one.close()
    two.close()
    print(os.listdir(folder))
