# Recipes and functions that start shells with pipelines.
LINES := $(shell seq 10 | grep -c 1)
NAMES := $(sort $(shell ls /usr/share | grep '^p' | head -n 3))
all: three
	@cat one two three | sort | uniq -c
	@echo $(LINES) $(NAMES) $(shell exit 3) $(.SHELLSTATUS)
	@$(MAKE) -s -f $(firstword $(MAKEFILE_LIST)) below
one two:
	@(seq 5; echo $@) | tail -n 3 >$@
three: one two
	@for i in $^; do (cat $$i | wc -l); done >$@
below:
	@x=$$(echo a child of make | tr a-z A-Z); echo "$$x"
