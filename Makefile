# Two commands matter: `make run` shows it working, `make check` tests everything. Meson does the building.
PREFIX ?= /usr/local
PYTHON = /usr/bin/python3
HELPERS = intravisor-monitor intravisor-monitor-no-pkeys intravisor-monitor-no-gate-check intravisor-translate intravisor-libos

.PHONY: all build run check bench fuzz soak compat install format clean
all: build

build:
	@scripts/install-deps build
	@scripts/build

run:
	@scripts/install-deps run
	@scripts/build
	@$(PYTHON) bench/demo.py

check:
	@scripts/install-deps check
	@$(PYTHON) tests/run.py

bench:
	@scripts/install-deps bench
	@scripts/build
	@$(PYTHON) bench/bench.py

# SECONDS for each of TARGETS (all by default); tests/fuzz/fuzz.py has the list.
fuzz:
	@scripts/install-deps fuzz
	@scripts/build
	@$(PYTHON) tests/fuzz/fuzz.py $(SECONDS) $(TARGETS)

# 2,000 cVMs in one Intravisor, redis beside bad neighbours, the fault storm; then the end-to-end and guest tests over and over, HOURS long.
soak:
	@scripts/install-deps check
	@scripts/build
	@$(PYTHON) tests/soak/soak.py $(STARTS) $(SECONDS)
	@$(PYTHON) tests/soak/storm.py $(SECONDS)
	@$(PYTHON) tests/run.py --soak $(or $(HOURS),1) guest e2e cap/model race/monitor

# Debian programs and CPython's own tests, natively and in cVMs: the tables of COMPAT.md. ONLY="test_os jq" runs these alone.
compat:
	@scripts/install-deps compat
	@scripts/build
	@$(PYTHON) tests/compat/compat.py $(ONLY)

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/intravisor
	install -m 755 build/intravisor $(DESTDIR)$(PREFIX)/bin/intravisor
	install -m 755 $(addprefix build/,$(HELPERS)) $(DESTDIR)$(PREFIX)/lib/intravisor/
	install -d $(DESTDIR)$(PREFIX)/include/cvm $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 include/cvm/*.h $(DESTDIR)$(PREFIX)/include/cvm/
	install -m 644 build/sdk/libcvm.a build/sdk/libcvm-bare.a build/sdk/cvm-bare.ld $(DESTDIR)$(PREFIX)/lib/
	install -m 755 build/sdk/libcvm.so.0 $(DESTDIR)$(PREFIX)/lib/
	ln -sf libcvm.so.0 $(DESTDIR)$(PREFIX)/lib/libcvm.so
	for name in cvm cvm-bare; do \
		sed 's,@PREFIX@,$(PREFIX),' src/sdk/$$name.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/$$name.pc; done

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build
