"""Servers in a cVM against the same natively: what a client is answered, how they end on SIGTERM, how fast they are.

Used by compat.py. Both run at once, each with ports and a directory of its own; client and load are lines for a shell outside.
"""
import json
import os
import re
import shlex
import shutil
import signal
import statistics
import tempfile
from contextlib import ExitStack

import harness
from harness import ENV, Fail, Started, cvm_command, free_port, listening, run, yaml_command

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = 3  # of loads, natively and in a cVM by turns
HEADERS = "curl -sS -D - http://127.0.0.1:{port}/file | grep -v ^Date"
WRK = "wrk -t1 -c16 -d1 http://127.0.0.1:{port}/file"
GET_POST = "for data in '' '-d posted'; do curl -sS $data http://127.0.0.1:{port}/ -w '%{http_code} %{content_type}\\n'; done"
PROXIED = ("for place in file missing; do curl -sS -w '%{http_code}\\n' -x http://127.0.0.1:{port} http://127.0.0.1:{back}/$place; done; "
           "curl -sS -p -x http://127.0.0.1:{port} http://127.0.0.1:{back}/file")
WRK_PROXIED = "wrk -t1 -c16 -d1 -s {programs}/absolute.lua http://127.0.0.1:{port} http://127.0.0.1:{back}/file"
DIG = ("for type in A TXT AAAA; do dig +noall +answer +comments +nocookie @127.0.0.1 -p {port} one.test $type; done | grep -v 'id:'; "
       "dig +tcp +short @127.0.0.1 -p {port} one.test")
DNSPERF = "echo one.test A >{dir}/queries; dnsperf -s 127.0.0.1 -p {port} -l 1 -c 4 -d {dir}/queries"
ZONE = "$ORIGIN test.\n@ 60 IN SOA a b 1 60 60 60 60\n@ 60 IN NS a\na 60 IN A 192.0.2.9\none 60 IN A 192.0.2.1\none 60 IN TXT text\n"
HANDSHAKES = "for v in 1_2 1_3; do openssl s_client -connect 127.0.0.1:{port} -tls$v -brief </dev/null 2>&1 | grep -v verify; done; "
WSGI = ("def application(env, start):\n    start('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [env['REQUEST_METHOD'].encode(), env['wsgi.input'].read(), b'\\n']\n")
NGINX = ("daemon off; master_process off; pid {run}/{listen}; events {} http { access_log off; keepalive_requests 1000000; "
         "server { listen 127.0.0.1:{listen}; root {dir}; } }")

# name, what the client does, server, client, more: `files` are configuration, `make` prepares natively, `load` says how much a
# second; {dir}: a directory with a `file` and, for `tls`, pem and key; {run}: one in memory; {back}: nginx outside that serves {dir};
# `as_init`: status as pid 1, where that is another; `differs` as in compat.py.
SERVERS = [
    ("memcached", "the tests of its protocol", "/usr/bin/memcached -u root -U 0 -l 127.0.0.1 -p {port} -t 2", "memccapable -h 127.0.0.1 -p {port} -a",
     {"load": "memcaslap -s 127.0.0.1:{port} -t 1s -T 1 -c 16"}),
    ("redis", "redis-cli", "/usr/bin/redis-server --port {port} --bind 127.0.0.1 --save '' --dir {dir} --appendonly yes",
     "redis-cli -p {port} <{programs}/redis.txt", {"load": "redis-benchmark -p {port} -c 16 -n 20000 -q -t get"}),
    ("beanstalkd", "puts, reserves, deletes", "/usr/bin/beanstalkd -l 127.0.0.1 -p {port}",
     "{client} lines {port} 'put 1 0 60 5' hello reserve 'delete 1' 'put 1 0 60 2' ab peek-ready quit", {"as_init": 137, "load": "{client} beanstalkd {port}"}),
    ("nginx", "a file", "/usr/sbin/nginx -c {dir}/cfg -e stderr", HEADERS, {"load": WRK, "files": {"cfg": NGINX.replace("{listen}", "{port}")}}),
    ("nginx-workers", "a file, master and 2 workers", "/usr/sbin/nginx -c {dir}/cfg -e stderr", HEADERS, {"load": WRK, "files": {
        "cfg": NGINX.replace("{listen}", "{port}").replace("master_process off", "worker_processes 2")}}),
    ("lighttpd", "a file", "/usr/sbin/lighttpd -D -f {dir}/cfg", HEADERS,
     {"load": WRK, "files": {"cfg": 'server.document-root = "{dir}"\nserver.port = {port}\nserver.bind = "127.0.0.1"\n'}}),
    ("apache2", "a file, by `-X` and threads", "/usr/sbin/apache2 -X -d {dir} -f {dir}/cfg", HEADERS, {"load": WRK, "files": {
        "cfg": "ServerName a\nListen 127.0.0.1:{port}\nDocumentRoot {dir}\nPidFile {run}/pid\nErrorLog /dev/stderr\nMutex posixsem\n"
               "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"
               "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"}}),
    ("apache2-prefork", "a file, 2 processes", "/usr/sbin/apache2 -D FOREGROUND -d {dir} -f {dir}/cfg", HEADERS, {"load": WRK, "files": {
        "cfg": "ServerName a\nListen 127.0.0.1:{port}\nDocumentRoot {dir}\nPidFile {run}/pid\nErrorLog /dev/stderr\nMutex posixsem\n"
               "LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so\nStartServers 2\nMaxRequestWorkers 2\n"
               "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nUser www-data\nGroup www-data\n"}}),
    ("caddy-server", "a file", "/usr/bin/caddy run --config {dir}/cfg --adapter caddyfile", HEADERS, {"load": WRK, "files": {
        "cfg": "{\n admin off\n auto_https off\n}\nhttp://127.0.0.1:{port} {\n bind 127.0.0.1\n root * {dir}\n file_server\n}\n"}}),
    ("haproxy", "a file, from nginx outside", "/usr/sbin/haproxy -db -f {dir}/cfg", HEADERS, {"load": WRK, "files": {
        "cfg": "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
               "frontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n server s 127.0.0.1:{back}\n"}}),
    ("tinyproxy", "a file, from nginx outside", "/usr/bin/tinyproxy -d -c {dir}/cfg", PROXIED, {"load": WRK_PROXIED, "files": {
        "cfg": "User root\nGroup root\nListen 127.0.0.1\nPort {port}\nTimeout 60\nMaxClients 100\nLogLevel Critical\n"}}),
    ("squid", "a file, from nginx outside", "/usr/sbin/squid -N -n compat -f {dir}/cfg", PROXIED, {"load": WRK_PROXIED, "files": {
        "cfg": "http_port 127.0.0.1:{port}\nhttp_access allow all\naccess_log none\ncache_log /dev/null\npid_filename none\n"
               "shutdown_lifetime 0 seconds\nvisible_hostname a\nvia off\n"}}),
    ("stunnel4", "TLS in front of nginx outside", "/usr/bin/stunnel4 {dir}/cfg", HANDSHAKES + "curl -ksS https://127.0.0.1:{port}/file",
     {"tls": True, "load": WRK.replace("http:", "https:"), "files": {
         "cfg": "foreground = yes\npid =\n[s]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{back}\ncert = {dir}/pem\nkey = {dir}/key\n"}}),
    ("openssl-server", "TLS", "/usr/bin/openssl s_server -accept 127.0.0.1:{port} -cert {dir}/pem -key {dir}/key -rev",
     HANDSHAKES + "(echo hello; sleep 1) | openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:{port}",
     {"tls": True, "load": "openssl s_time -connect 127.0.0.1:{port} -new -time 1"}),
    ("mosquitto", "subscribes, publishes", "/usr/sbin/mosquitto -c {dir}/cfg",
     "mosquitto_pub -p {port} -r -t kept -m retained -q 2; mosquitto_sub -p {port} -t '#' -v -C 3 -q 1 -W 60 | while read line; do echo $line; "
     "[ \"$line\" = 'kept retained' ] && mosquitto_pub -p {port} -t a/b -m one -q 1 && mosquitto_pub -p {port} -t a/c -m two -q 2; done",
     {"load": "s=$(date +%s%N); seq 3000 | mosquitto_pub -p {port} -t l -q 1 -l; echo rate: $((3000000000000 / ($(date +%s%N) - s)))",
      "files": {"cfg": "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"}}),
    ("nats-server", "subscribes, publishes", "/usr/sbin/nats-server -a 127.0.0.1 -p {port}", "{client} nats {port}", {"load": "{client} nats-load {port}"}),
    ("unbound", "local data over UDP and TCP", "/usr/sbin/unbound -d -c {dir}/cfg", DIG, {"load": DNSPERF, "files": {
        "cfg": "server:\n interface: 127.0.0.1@{port}\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n directory: {dir}\n pidfile: \"\"\n"
               " use-syslog: no\n num-threads: 2\n local-zone: test static\n local-data: \"one.test A 192.0.2.1\"\n"
               " local-data: \"one.test TXT text\"\nremote-control:\n control-enable: no\n"}}),
    ("dnsmasq", "local data over UDP and TCP", "/usr/sbin/dnsmasq -k -d -C /dev/null -p {port} --listen-address=127.0.0.1 --bind-interfaces -R -h "
     "-u root --host-record=one.test,192.0.2.1 --txt-record=one.test,text", DIG, {"load": DNSPERF}),
    ("bind9", "a zone over UDP and TCP", "/usr/sbin/named -g -c {dir}/cfg -p {port} -n 2", DIG, {"load": DNSPERF, "files": {"zone": ZONE,
        "cfg": "options { directory \"{dir}\"; listen-on port {port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none;\n"
               "session-keyfile none; dnssec-validation no; };\ncontrols { };\nzone \"test\" { type master; file \"zone\"; };\n"}}),
    ("knot", "a zone over UDP and TCP", "/usr/sbin/knotd -c {dir}/cfg", DIG, {"load": DNSPERF, "files": {"test.zone": ZONE,
        "cfg": "server:\n  rundir: {run}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  user: root\n"
               "database:\n  storage: {run}\ntemplate:\n  - id: default\n    storage: {dir}\nzone:\n  - domain: test\n"}}),
    ("nodejs-http", "GET and POST", "/usr/bin/node {programs}/http.js {port}", GET_POST, {"load": WRK}),
    ("php-http", "GET and POST", "/usr/bin/php -S 127.0.0.1:{port} {programs}/http.php", GET_POST, {"load": WRK}),
    ("ruby-http", "GET and POST, webrick", "/usr/bin/ruby {programs}/http.rb {port}", GET_POST, {"load": WRK}),
    ("perl-http", "GET and POST", "/usr/bin/perl {programs}/http.pl {port}", GET_POST, {"load": WRK}),
    ("python-http", "a file, `http.server`", "/usr/bin/python3.11 -m http.server -b 127.0.0.1 -d {dir} {port}", HEADERS, {"load": WRK}),
    ("uwsgi", "GET and POST, Python, 2 threads", "/usr/bin/uwsgi --http-socket 127.0.0.1:{port} --plugin python3 --wsgi-file {dir}/app.py --threads 2 "
     "--die-on-term --disable-logging --need-app", GET_POST, {"load": WRK, "files": {"app.py": WSGI}}),
    ("uwsgi-workers", "GET and POST, Python, 2 processes", "/usr/bin/uwsgi --http-socket 127.0.0.1:{port} --plugin python3 --wsgi-file {dir}/app.py "
     "--master --processes 2 --die-on-term --disable-logging --need-app", GET_POST, {"load": WRK, "files": {"app.py": WSGI}}),
    ("gunicorn", "GET and POST, Python, 2 processes", "/usr/bin/gunicorn --chdir {dir} -b 127.0.0.1:{port} -w 2 app", GET_POST,
     {"load": WRK, "files": {"app.py": WSGI}}),
    ("prometheus", "a query", "/usr/bin/prometheus --config.file={dir}/cfg --storage.tsdb.path={dir}/db --web.listen-address=127.0.0.1:{port}",
     "curl -sS http://127.0.0.1:{port}/-/healthy 'http://127.0.0.1:{port}/api/v1/query?query=vector(42)&time=1'",
     {"load": "wrk -t1 -c16 -d1 'http://127.0.0.1:{port}/api/v1/query?query=vector(42)&time=1'", "files": {
         "cfg": "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: self\n    static_configs:\n      - targets: ['127.0.0.1:{port}']\n"}}),
    ("etcd", "put, get, delete", "/usr/bin/etcd --data-dir {dir}/db --listen-client-urls http://127.0.0.1:{port} --advertise-client-urls "
     "http://127.0.0.1:{port} --listen-peer-urls http://127.0.0.1:{peer} --initial-advertise-peer-urls http://127.0.0.1:{peer} "
     "--initial-cluster default=http://127.0.0.1:{peer} --unsafe-no-fsync",
     "export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=127.0.0.1:{port}; etcdctl put a 1; etcdctl put b 2; etcdctl get '' --prefix; etcdctl del a; etcdctl get a b",
     {"as_init": 0, "load": "wrk -t1 -c16 -d1 -s {programs}/etcd.lua http://127.0.0.1:{port}"}),
    ("slapd", "adds, searches", "/usr/sbin/slapd -d 0 -h ldap://127.0.0.1:{port} -f {dir}/cfg", "ldapadd -x -H ldap://127.0.0.1:{port} -D cn=root,o=t "
     "-w p -f {dir}/ldif; for o in t missing; do ldapsearch -x -LLL -H ldap://127.0.0.1:{port} -b o=$o '(cn=one)'; done", {"files": {
         "ldif": "dn: o=t\nobjectClass: organization\no: t\n\ndn: cn=one,o=t\nobjectClass: organizationalRole\ncn: one\n",
         "cfg": "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {run}/pid\ndatabase mdb\n"
                "maxsize 10485760\nsuffix o=t\nrootdn cn=root,o=t\nrootpw p\ndirectory {dir}\n"}}),
    ("mariadb", "a table of 10,000 rows", "/usr/sbin/mariadbd --no-defaults --user=root --datadir={dir}/db --bind-address=127.0.0.1 --port={port} "
     "--socket={run}/sock --skip-grant-tables --skip-networking=0 --innodb-buffer-pool-size-max=1G",
     "mariadb --no-defaults -h 127.0.0.1 -P {port} <{programs}/table.sql",
     {"make": "mariadb-install-db --no-defaults --user=root --datadir={dir}/db --auth-root-authentication-method=normal",
      "load": "s=$(date +%s%N); yes 'select b from t where a = 77;' | head -n 4000 | mariadb --no-defaults -h 127.0.0.1 -P {port} d >/dev/null; "
              "echo rate: $((4000000000000 / ($(date +%s%N) - s)))"}),
    ("influxdb", "points, a sum", "/usr/bin/influxd -config {dir}/cfg",
     "q() { curl -sS http://127.0.0.1:{port}/$1 --data-urlencode \"q=$2\"; }; q query 'CREATE DATABASE d'; for i in 1 2 3; do "
     "curl -sS http://127.0.0.1:{port}/write?db=d --data-binary \"m,h=a v=$i $i\"; done; q 'query?db=d' 'SELECT sum(v) FROM m'",
     {"load": "wrk -t1 -c16 -d1 'http://127.0.0.1:{port}/query?db=d&q=SELECT+sum(v)+FROM+m'", "files": {
         "cfg": "bind-address = \"127.0.0.1:{peer}\"\nreporting-disabled = true\n[meta]\ndir = \"{dir}/meta\"\n[data]\ndir = \"{dir}/data\"\n"
                "wal-dir = \"{dir}/wal\"\n[http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n"}}),
    ("sshd", "commands, a terminal, sftp, 4 at once", "/bin/sh -c 'mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -f {dir}/cfg'",
     "s() { ssh -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i {dir}/id -p {port} \"$@\"; }; "
     "s root@127.0.0.1 'id -u; exit 3'; echo $?; echo abc | s root@127.0.0.1 wc -c; s -tt root@127.0.0.1 'stty size' </dev/null; "
     "echo 'ls -l {dir}/file' | sftp -q -b - -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i {dir}/id "
     "-P {port} root@127.0.0.1 | grep -c file; for i in 1 2 3 4; do s root@127.0.0.1 'sleep 0.5; echo done' & done; wait",
     {"make": "mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f {dir}/hostkey; ssh-keygen -q -t ed25519 -N '' -f {dir}/id", "files": {
         "cfg": "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/hostkey\nPidFile {run}/pid\nAuthorizedKeysFile {dir}/id.pub\nStrictModes no\n"
                "PermitRootLogin yes\nUsePAM no\nSubsystem sftp internal-sftp\n"}}),
    ("rsyncd", "a list, a file", "/usr/bin/rsync --daemon --no-detach --config={dir}/cfg --port={port} --address=127.0.0.1",
     "rsync rsync://127.0.0.1:{port}/m/file | tr -s ' ' | cut -d' ' -f1,2; rsync -a rsync://127.0.0.1:{port}/m/file {dir}/got && cmp {dir}/file {dir}/got && echo same",
     {"files": {"cfg": "use chroot = yes\n[m]\npath = {dir}\n"}}),
    ("git-daemon", "3 clones at once", "/usr/bin/git -c safe.directory=* daemon --export-all --base-path={dir} --port={port} --listen=127.0.0.1 --reuseaddr",
     "for i in 1 2 3; do git clone -q git://127.0.0.1:{port}/r {dir}/clone$i & done; wait; cat {dir}/clone?/file | wc; git ls-remote git://127.0.0.1:{port}/r | cut -f2",
     {"make": "git init -q {dir}/r && cd {dir}/r && cp {dir}/file . && git add file && git -c user.name=a -c user.email=a@b commit -q -m m"}),
    ("php-fpm", "2 processes, FastCGI", "/usr/sbin/php-fpm8.2 -R -F -y {dir}/cfg", "for i in 1 2 3; do {client} fastcgi {port} {dir}/app.php x=$i; done", {"files": {
        "app.php": "<?php echo 'hello ', $_GET['x'], PHP_EOL;\n",
        "cfg": "[global]\nerror_log = /dev/stderr\n[w]\nuser = root\ngroup = root\nlisten = 127.0.0.1:{port}\npm = static\npm.max_children = 2\n"}}),
    ("varnish", "a file, from nginx outside", "/usr/sbin/varnishd -F -a 127.0.0.1:{port} -b 127.0.0.1:{back} -n {dir}/v -T none -s malloc,32m",
     "for i in 1 2; do curl -sS http://127.0.0.1:{port}/file | wc -c; done; curl -sSI http://127.0.0.1:{port}/none | head -n 1", {"load": WRK}),
    ("pdns", "a zone of sqlite over UDP and TCP", "/usr/sbin/pdns_server --guardian=no --daemon=no --config-dir={dir} --local-address=127.0.0.1 "
     "--local-port={port} --socket-dir={run} --launch=gsqlite3 --gsqlite3-database={dir}/db", DIG,
     {"load": DNSPERF, "make": "sqlite3 {dir}/db </usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql && sqlite3 {dir}/db \"insert into domains(name,type) "
      "values('test','NATIVE'); insert into records(domain_id,name,type,content,ttl,auth) values(1,'test','SOA','a b 1 2 3 4 5',60,1),"
      "(1,'one.test','A','192.0.2.1',60,1),(1,'one.test','TXT','text',60,1)\""}),
    ("nsd", "a zone over UDP and TCP", "/usr/sbin/nsd -d -c {dir}/cfg", DIG, {"load": DNSPERF, "files": {"zone": ZONE,
        "cfg": "server:\n  ip-address: 127.0.0.1@{port}\n  username: root\n  chroot: \"\"\n  pidfile: \"\"\n  zonesdir: {dir}\n  xfrdir: {dir}\n"
               "  database: \"\"\n  xfrdfile: {run}/x\n  zonelistfile: {run}/z\nremote-control:\n  control-enable: no\nzone:\n  name: test\n"
               "  zonefile: zone\n"}}),
    ("pgbouncer", "its console", "/usr/sbin/pgbouncer {dir}/cfg", "psql -h 127.0.0.1 -p {port} -U u -t -c 'show version' pgbouncer",
     {"files": {"cfg": "[databases]\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\nuser = nobody\n"
                       "admin_users = u\n"}}),
    ("alertmanager", "its state", "/usr/bin/prometheus-alertmanager --config.file={dir}/cfg --storage.path={dir}/db --web.listen-address=127.0.0.1:{port} "
     "--cluster.listen-address=", "curl -sS http://127.0.0.1:{port}/-/healthy http://127.0.0.1:{port}/api/v2/alerts",
     {"load": WRK.replace("/file", "/-/healthy"), "files": {"cfg": "route: {receiver: a}\nreceivers: [{name: a}]\n"}}),
    ("pushgateway", "a value", "/usr/bin/prometheus-pushgateway --web.listen-address=127.0.0.1:{port} --persistence.file={dir}/kept",
     "echo 'm 3' | curl -sS --data-binary @- http://127.0.0.1:{port}/metrics/job/j; curl -sS http://127.0.0.1:{port}/metrics | grep ^m.instance",
     {"load": WRK.replace("/file", "/-/healthy")}),
    ("zookeeper", "its state", "/usr/bin/java -cp /usr/share/java/zookeeper.jar:/etc/zookeeper/conf_example:/usr/share/java/* "
     "org.apache.zookeeper.server.ZooKeeperServerMain {dir}/cfg", "until {client} lines {port} srvr | grep -E '^(Mode|Node)'; do sleep 0.2; done", {"files": {
         "cfg": "dataDir={dir}/db\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"}}),
    ("iperf3", "its own client", "/usr/bin/iperf3 -s -B 127.0.0.1 -p {port}", "iperf3 -c 127.0.0.1 -p {port} -n 1M -J | grep -c bytes",
     {"load": "iperf3 -c 127.0.0.1 -p {port} -t 1 -f m"}),
]
RATES = [r"Requests/sec: +([\d.]+)", r"TPS: (\d+)", r"Queries per second: +([\d.]+)", r"rate: (\d+)", r"GET: ([\d.]+) requests",
         r"([\d.]+) connections/user sec", r"([\d.]+) Mbits/sec +receiver"]


class Server:
    """One of both, started: `kind` is native or cvm."""

    def __init__(self, kind, name, command, more, stack):
        self.dir = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"compat.{name}.", ignore_cleanup_errors=True))
        os.chmod(self.dir, 0o755)  # for servers that are no longer root
        self.ports = {word: str(free_port()) for word in ("{port}", "{peer}", "{back}")}
        self.places = {"{dir}": self.dir, "{run}": f"{self.dir}/run", "{programs}": f"{HERE}/programs",
                       "{client}": f"/usr/bin/python3.11 {HERE}/programs/client.py", "{listen}": self.ports["{back}"], **self.ports}
        os.mkdir(f"{self.dir}/run")
        shutil.copy2("/usr/share/common-licenses/GPL-3", f"{self.dir}/file")
        for path, text in {"back": NGINX, **more.get("files", {})}.items():
            with open(f"{self.dir}/{path}", "w") as f:
                f.write(self.fill(text))
        if "tls" in more:
            self.shell("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout {dir}/key -out {dir}/pem")
        if "make" in more:
            self.shell(more["make"])
        back = stack.enter_context(Started(["/usr/sbin/nginx", "-c", f"{self.dir}/back", "-e", "stderr"]))
        back.wait_for(lambda: listening(int(self.ports["{back}"])))
        words = [self.fill(word) for word in shlex.split(command)]
        if kind == "cvm":
            grants = ["-v", "{dir}:{dir}", "--tmpfs", "{run}", "-v", "{programs}:{programs}:ro", "-p", "127.0.0.1:{port}", "-p", "127.0.0.1:{port}/udp",
                      "-p", "127.0.0.1:{peer}", "--connect", "127.0.0.1:*", "--connect", "127.0.0.1:*/udp", "-p", "0.0.0.0:0/udp", "-p", "0.0.0.0:0", "-p", "127.0.0.1:0", "--env-clear"]
            words = cvm_command(words, ["-q", *map(self.fill, grants), *(w for name, value in ENV.items() for w in ("-e", f"{name}={value}"))])
        self.started = stack.enter_context(Started(words, cwd="/"))
        self.started.wait_for(lambda: listening(int(self.ports["{port}"])))

    def fill(self, text):
        for word, place in self.places.items():
            text = text.replace(word, place)
        return text

    def shell(self, line):
        return run(["/bin/sh", "-c", self.fill(line)], timeout=120, cwd="/", env=ENV)

    def answer(self, line):
        """Status and output of the client, without what belongs to this run."""
        ran = self.shell(line)
        text = ran.text().replace(self.dir, "{dir}")
        for word, port in self.ports.items():
            text = text.replace(port, word)
        return ran.status, text

    def rate(self, line):
        ran = self.shell(line)
        text = ran.text() + ran.errors()
        found = [float(match[1]) for match in (re.search(rate, text) for rate in RATES) if match]
        harness.expect(found, "no rate", ran)
        return found[0]

    def end(self):
        self.started.process.send_signal(signal.SIGTERM)
        return self.started.wait(30)


def compare(name, client, command, more):
    """Equal or not, and a rate relative to the native one; a text says what is wrong."""
    with ExitStack() as stack:
        native, ours = (Server(kind, name, command, more, stack) for kind in ("native", "cvm"))
        want, got = native.answer(client), ours.answer(client)
        if not want[1]:
            raise Fail("the client says nothing natively")
        if want != got:
            return None, f"native: {want}\ncVM: {got}\n{ours.started.output()}"
        ratio = "-"
        if "load" in more:
            pairs = [(native.rate(more["load"]), ours.rate(more["load"])) for _ in range(ROUNDS)]
            ratio = f"{statistics.median(mine / theirs for theirs, mine in pairs):.2f}"
        status, expected = ours.end(), native.end()
        expected = more.get("as_init", expected)
        return ratio, None if status == expected else f"status {status} after SIGTERM, not {expected}\n{ours.started.output()}"


def row(name, what, command, client, more):
    """The row of the table, what is wrong and what is new about it."""
    try:
        ratio, wrong = compare(name, client, command, more)
    except Fail as fail:
        ratio, wrong = None, str(fail)
    why = more.get("differs")
    equal = "yes" if not wrong else f"no: {why}" if why else "**no**"
    return f"| {name} | {what} | {equal} | {ratio or '-'} |", wrong, (
        f"{name} {'differs' if wrong else 'is equal'}, which is new" if bool(wrong) != bool(why) else None)


def by_reach(name="redis-reach"):
    """redis-cli in a cVM, its commands from standard input, to redis-server in another: by `listen` and `reach`, never by the host."""
    port, commands = free_port(), f"{HERE}/programs/redis.txt"
    server = shlex.split(f"/usr/bin/redis-server --port {port} --bind 127.0.0.1 --save '' --dir /tmp --logfile /dev/null --appendonly no")
    client = ["/usr/bin/redis-cli", "-p", str(port)]
    with tempfile.TemporaryDirectory(prefix=f"compat.{name}.") as folder, open(commands) as again:
        server += ["--pidfile", f"{folder}/pid"]
        with Started(server) as native, open(commands) as commands:
            native.wait_for(lambda: listening(port))
            want = run(client, stdin=commands).text()
        os.unlink(f"{folder}/pid")
        with open(f"{folder}/pod.yaml", "w") as f:
            f.write(f"cVMs:\n  - {{name: server, program: {json.dumps(server)}, listen: [{port}], volumes: [\"{folder}:{folder}\"], "
                    f"ready: {{file: {folder}/pid}}}}\n  - {{name: client, program: {json.dumps(client)}, reach: [{port}], after: [server]}}\n")
        with Started(yaml_command(f"{folder}/pod.yaml", ["-q"]), stdin=again) as pod:
            pod.wait_for(lambda: len(pod.output()) >= len(want))
            pod.process.send_signal(signal.SIGTERM)
            status, got = pod.wait(30), pod.output()
    wrong = None if (status, got) == (0, want) else f"status {status}\nnative: {want}\ncVM: {got}"
    return (f"| {name} | redis-cli in a cVM, redis-server in another, by `listen` and `reach` | {'**no**' if wrong else 'yes'} | - |", wrong,
            f"{name} differs, which is new" if wrong else None)
